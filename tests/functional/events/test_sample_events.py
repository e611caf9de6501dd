"""The sample events, replayed twice: no error, the same outcome, nothing done a second time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel.jobs.outbox import Delivery, Transaction
from chalicelib.kernel.jobs.worker import BatchIncomplete
from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller

EVENTS = Path(__file__).parents[3] / "events"
FILES = sorted(EVENTS.glob("*/*.json"))


class Context:
    """What Lambda hands to a function beside the event."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


#: How a job comes to be whose sample event does not describe it (`job`).
CAUSES: dict[str, Callable[[Caller], object]] = {
    "people.invitation": lambda manager: manager.create_user(),
    "people.import_rows": lambda manager: manager.send(
        "POST",
        "/admin/v1/users/import",
        headers={"Content-Type": "text/csv"},
        data="name,email,phone,role\nBob,bob@example.com,,staff\n",
    ),
    "projects.start": lambda manager: manager.post("/admin/v1/projects", {"name": "Alder"}),
}
#: What a step of the workflow answers once its run has ended.
OVER = {"outcome": "failed", "reason": "this run is over", "batches": [], "next": None}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_sample_event_replayed_twice_has_the_same_outcome_and_is_done_once(
    cloud: LocalCloud, manager: Caller, file: Path
) -> None:
    event = json.loads(file.read_text())
    named = _put_real_jobs_into(event, manager)
    _put_real_project_into(event, manager)
    name = file.parent.name
    function = cloud.app if name == "api_handler" else cloud.app.handler_map[name]

    first = _outcome(function, event)
    sent, jobs = mailbox.sent(), manager.jobs()
    # The last step ends the run: done again, it finds it over.
    assert _outcome(function, event) in (first, OVER)
    assert mailbox.sent() == sent
    assert manager.jobs() == jobs
    assert {manager.job(job_id)["status"] for job_id in named} <= {"done", "skipped"}


def _outcome(function: Callable[[Any, Context], object], event: dict[str, Any]) -> object:
    """What the function answers, or what it raises on purpose. Any other error fails the test."""
    try:
        answer = function(event, Context())
    except BatchIncomplete as told:  # a message of a newer release comes back
        return str(told)
    except Exception as told:
        if str(told) != "Unauthorized":  # the word by which an authorizer lets nobody in
            raise
        return str(told)
    if isinstance(answer, dict) and "statusCode" in answer:  # times and ids differ
        return answer["statusCode"], answer.get("body")
    return answer


def _put_real_jobs_into(event: dict[str, Any], manager: Caller) -> list[str]:
    """The ids of jobs that were made for the event's messages, where they are of this release."""
    made = []
    for record in event.get("Records", []):
        message = _message(record["body"])
        if message.get("v") == 1:
            message["job"] = _real_job(message["type"], event.get("job"), manager)
            made.append(message["job"])
            record["body"] = json.dumps(message)
    return made


def _put_real_project_into(event: dict[str, Any], manager: Caller) -> None:
    """A project whose run is at work, for a step of its workflow."""
    if "project" in event:
        made = manager.post("/admin/v1/projects", {"name": "Alder"})
        event["project"] = made.json()["data"]["id"]


def _real_job(name: str, described: dict[str, Any] | None, manager: Caller) -> str:
    """A job as the file describes it (`job`: channel, recipient, args), or by what causes it."""
    if described is None:
        assert name in CAUSES, f"{name}: add `job` to its sample event, or a line to CAUSES here"
        CAUSES[name](manager)
        return str(manager.jobs(type=name)[0]["id"])
    how = Delivery(channel=described.get("channel"), recipient=described.get("recipient"))
    with Transaction("t1") as tx:
        return tx.enqueue(name, how, **described["args"]).id


def _message(body: str) -> dict[str, Any]:
    try:
        return dict(json.loads(body))
    except ValueError:
        return {}
