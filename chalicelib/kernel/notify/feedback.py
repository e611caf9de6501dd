"""What SES says of mails after it took them: delivered, bounced, complained.

SES -> configuration set -> SNS topic -> queue `feedback` -> here. Events come more than once, in
any order, and of mails that are not ours; each is a conditional write that only moves a status
forward.
A hard bounce or a complaint puts the address on the tenant's suppression list.
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
    "Delivery": "delivered",
    "Bounce": "bounced",
    "Complaint": "complained",
}
_NAME = re.compile(r"[\x21-\x7e]{1,320}")  # as long as an address can be


class MailEvent(msgspec.Struct, frozen=True):
    """One event of a mail of ours."""

    delivery: str  #: a word of ledger.DELIVERIES
    tenant_id: str
    job_id: str
    message_id: str
    addresses: tuple[str, ...] = ()  #: to suppress


class NotOurs(ValueError):
    """An event that this module has no use for."""


def read(body: str) -> MailEvent:
    """The event in a message; raises NotOurs for anything else. One of SNS is unwrapped."""
    try:
        event = json.loads(body)
        if event.get("Type") == "Notification":
            event = json.loads(event["Message"])
        kind, mail = event["eventType"], event["mail"]
        tenant_id, job_id = (_name(mail["tags"][tag][0]) for tag in ("tenant", "job"))
        detail = event.get(kind.lower(), {})
        message_id = _name(mail["messageId"])
        return MailEvent(
            _delivery(kind, detail), tenant_id, job_id, message_id, _addresses(kind, detail)
        )
    except NotOurs:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        raise NotOurs(type(error).__name__) from error


def _delivery(kind: str, detail: dict[str, Any]) -> str:
    """A soft bounce is no bounce: SES tries again, and gives up with a hard one or none."""
    if kind == "Bounce" and detail.get("bounceType") != "Permanent":
        raise NotOurs("soft bounce")
    return _DELIVERY_OF[kind]


def _addresses(kind: str, detail: dict[str, Any]) -> tuple[str, ...]:
    named = {"Bounce": "bouncedRecipients", "Complaint": "complainedRecipients"}.get(kind, "")
    return tuple(_name(each["emailAddress"]) for each in detail.get(named, []))


def _name(value: object) -> str:
    """A value that can be part of a key; raises NotOurs for what the store would refuse."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise NotOurs("not a name")
    return value


def handle(record: dict[str, Any], deadline: float) -> Outcome:
    """Takes in one message of the queue `feedback`; safe to repeat."""
    del deadline
    try:
        event = read(record["body"])
    except NotOurs as error:
        telemetry.log.info("event ignored", why=str(error))
        return Outcome.drop("ignored")
    ledger.note_delivery(event.tenant_id, event.job_id, event.delivery, event.message_id)
    if ledger.get(event.tenant_id, event.job_id, consistent=True) is not None:
        for address in event.addresses:
            limits.suppress(event.tenant_id, "email", address, event.delivery)
    return Outcome.drop(event.delivery)
