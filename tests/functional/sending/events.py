"""Events as SES publishes them, made from the samples in `events/feedback/`."""

import json
from pathlib import Path
from typing import Any

from infra.local.cloud import LocalCloud
from tests.functional import aws

SAMPLES = Path(__file__).parents[3] / "events" / "feedback"


class Context:
    """What Lambda hands to a function beside the event."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def sample(name: str) -> dict[str, Any]:
    """The first event in a sample file."""
    records = json.loads((SAMPLES / f"{name}.json").read_text())["Records"]
    return dict(json.loads(records[0]["body"]))


def about(name: str, job_id: str, to: str = "ann@example.com", tenant: str = "t1") -> str:
    """A sample event as it would come for this mail."""
    event = sample(name)
    event["mail"]["tags"].update(tenant=[tenant], job=[job_id])
    detail = event.get(event["eventType"].lower(), {})
    for recipient in detail.get("bouncedRecipients", detail.get("complainedRecipients", [])):
        recipient["emailAddress"] = to
    return json.dumps(event)


def wrapped(body: str) -> str:
    """The same as SNS sends it without raw message delivery."""
    return json.dumps({**sample("delivery-wrapped-by-sns"), "Message": body})


def bring(cloud: LocalCloud, *bodies: str) -> None:
    """Puts messages into the queue, and has them taken in one after the other."""
    for body in bodies:
        aws.put_message("feedback", body)
        assert cloud.run_until_idle() >= 1


def bring_together(cloud: LocalCloud, *bodies: str) -> None:
    """Puts messages into the queue, and has them taken in side by side."""
    for body in bodies:
        aws.put_message("feedback", body)
    cloud.run_until_idle()


def batch_of(*bodies: str) -> dict[str, Any]:
    """One batch as Lambda delivers it."""
    (like,) = json.loads((SAMPLES / "delivery.json").read_text())["Records"]
    return {
        "Records": [
            {**like, "messageId": str(number), "body": body} for number, body in enumerate(bodies)
        ]
    }
