"""What SES reports of mails after it took them: delivered, rejected, bounced, complained.

SES -> configuration set -> SNS topic -> queue `feedback` -> here. Events may come more than once,
in any order, and for mails that are not ours. Each is a conditional write that only moves a status
forward. Our tags name the job, and the job names its one recipient: addresses in events are not
read, since they come as they like, with names or brackets, or are those that a mail was forwarded
to. A hard bounce or a complaint puts the job's recipient on the tenant's suppression list.
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

import json
import re
from typing import Any

import msgspec

from chalicelib.kernel import telemetry
from chalicelib.kernel.jobs import ledger
from chalicelib.kernel.jobs.attempt import Outcome
from chalicelib.kernel.notify import limits

_DELIVERY_OF = {
    "Send": "sent",
    "Reject": "rejected",
    "Delivery": "delivered",
    "Bounce": "bounced",
    "Complaint": "complained",
}
_SUPPRESSING = ("bounced", "complained")
_KEY_TEXT = re.compile(r"[\x21-\x7e]{1,320}")


class MailEvent(msgspec.Struct, frozen=True):
    """One event of a mail that we sent."""

    delivery: str  #: one of ledger.DELIVERIES
    tenant_id: str
    job_id: str
    message_id: str
    reason: str | None = None  #: why it will never arrive


class NotOurs(ValueError):
    """An event that does not concern a mail that we sent."""


def read(body: str) -> MailEvent:
    """The event in a message, with or without SNS's envelope; raises NotOurs for anything else."""
    try:
        event = json.loads(body)
        if event.get("Type") == "Notification":
            event = json.loads(event["Message"])
        kind, mail = event["eventType"], event["mail"]
        tenant_id, job_id = (_key_text(mail["tags"][tag][0]) for tag in ("tenant", "job"))
        detail = event.get(kind.lower(), {})
        message_id = _key_text(mail["messageId"])
        delivery = _delivery(kind, detail)
        return MailEvent(delivery, tenant_id, job_id, message_id, _reason(delivery, detail))
    except NotOurs:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        raise NotOurs(type(error).__name__) from error


def _delivery(kind: str, detail: dict[str, Any]) -> str:
    """The new status. Raises NotOurs for a soft bounce, after which SES itself tries again."""
    if kind == "Bounce" and detail.get("bounceType") != "Permanent":
        raise NotOurs("soft bounce")
    return _DELIVERY_OF[kind]


def _reason(delivery: str, detail: dict[str, Any]) -> str | None:
    if delivery != "rejected":
        return None
    return f"SES rejected the mail after taking it: {str(detail.get('reason', 'unknown'))[:100]}"


def _key_text(value: object) -> str:
    """The value as a part of a key; raises NotOurs for one that the store would refuse."""
    if not isinstance(value, str) or not _KEY_TEXT.fullmatch(value):
        raise NotOurs("not a name")
    return value


def handle(record: dict[str, Any], deadline: float) -> Outcome:
    """Handles one message of the queue `feedback`; safe to repeat."""
    del deadline
    try:
        event = read(record["body"])
    except NotOurs as error:
        telemetry.log.info("event ignored", why=str(error))
        return Outcome.drop("ignored")
    ledger.note_delivery(
        event.tenant_id, event.job_id, event.delivery, event.message_id, event.reason
    )
    if event.delivery in _SUPPRESSING:
        job = ledger.get(event.tenant_id, event.job_id, consistent=True)
        if job is not None and job.channel == "email" and job.recipient:
            limits.suppress(event.tenant_id, "email", job.recipient, event.delivery)
    return Outcome.drop(event.delivery)
