"""Invitations: their messages, resending them, accepting them. Part of the domain's service.

A token is not stored: it consists of tenant, person and version, sealed with the signing key.
Resending raises the version, so that the earlier token stops working.
"""

from typing import Any, cast
from urllib.parse import quote

import msgspec

from chalicelib.kernel import clock, signing
from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.errors import (
    AppError,
    Conflict,
    Forbidden,
    NotFound,
    Skip,
    TooManyRequests,
)
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.notify import limits, notices, prospects
from chalicelib.kernel.notify.notices import Channel
from chalicelib.kernel.notify.prospects import Prospect
from chalicelib.kernel.store import preconditions
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.people import models, rules
from chalicelib.people.models import Person
from chalicelib.people.rules import Invitation


class Token(msgspec.Struct, frozen=True):
    """The content of an invitation's token."""

    tenant_id: str
    person_id: str
    version: int


def queue(
    tx: Transaction, person: Person, *, email: bool, sms: bool, base_url: str, queue: str = "notify"
) -> dict[Any, Job]:
    """Adds the messages of the person's current invitation to `tx`; returns the jobs by channel.

    Raises Unavailable while no signing key is set, since the link could not be made later.
    """
    signing.check_keys()
    return notices.enqueue(
        tx,
        "people.invitation",
        {"email": person.email if email else None, "sms": person.phone if sms else None},
        queue=queue,
        not_after=int(person.invitation_expires_at),
        person_id=person.id,
        version=int(person.invitation_version),
        base_url=base_url,
    )


def expiry() -> int:
    """The epoch seconds at which an invitation that is sent now expires."""
    return clock.epoch_seconds() + rules.INVITATION_SECONDS


def renewed(person: Person) -> dict[str, Any]:
    """The attributes of the person's next invitation, whose token replaces the earlier one."""
    return {
        "invitation_version": int(person.invitation_version) + 1,
        "invitation_sent_at": clock.epoch_seconds(),
        "invitation_expires_at": expiry(),
    }


def to_send(tenant_id: str, person_id: str, version: int, base_url: str) -> Invitation:
    """The current values of the invitation's texts; raises Skip when it is no longer wanted."""
    tenant = tenancy.find(tenant_id)
    if tenant is None:
        raise Skip("tenant-unknown")
    person = models.get_person(tenant_id, person_id)
    if person is None or person.status == "deactivated":
        raise Skip("user-deleted")
    if person.status != "invited" or int(person.invitation_version) != version:
        raise Skip("invitation-replaced")
    if person.invitation_expires_at <= clock.epoch_seconds():
        raise Skip("invitation-expired")
    return Invitation(
        name=person.name,
        tenant_name=tenant.name,
        link=f"{base_url}/invitations/accept?token={quote(token_of(person))}",
        days=rules.INVITATION_DAYS,
    )


def resend(tx: Transaction, by: Caller, person_id: str, base_url: str, if_match: IfMatch) -> Person:
    """Adds a new invitation to `tx`; the earlier token stops working with the commit.

    Raises NotFound, Forbidden for somebody whose role the caller may not give, and TooManyRequests
    when the daily limits let nothing through: then the earlier invitation stays. It also stays when
    the message cannot be sent for another reason, such as an address that bounced; the message is
    queued all the same, since the notification says why. The commit raises Conflict when the user
    is active or deactivated or another resend came between, and TooManyRequests within a minute of
    the last invitation. That is left to the commit, where a request that is repeated under its
    Idempotency-Key finds its stored answer.
    """
    person = models.get_person(tx.tenant_id, person_id)
    if person is None:
        raise NotFound("No user has this id")
    if not rules.may_give(by.role, cast("Role", person.role)):
        raise Forbidden("Only an admin can invite an admin")
    now, version = clock.epoch_seconds(), person.invitation_version
    may_be_resent = (
        (Person.invitation_version == version)
        & (Person.status == "invited")
        & (Person.invitation_sent_at <= now - rules.RESEND_SECONDS)
    )
    condition = preconditions.and_unchanged_since(
        person, if_match, "user", may_be_resent, _resend_error(person, now)
    )
    outlook = _prospects(person) if person.status == "invited" else {}
    values = renewed(person)
    if "sent" not in outlook.values():  # nobody would get the new link
        values["invitation_version"] = int(version)
    tx.update(
        person,
        [
            *(getattr(Person, name).set(value) for name, value in values.items()),
            Person.version.set(Person.version + 1),
        ],
        *condition,
    )
    for name, value in values.items():
        setattr(person, name, value)
    channels = [channel for channel, prospect in outlook.items() if prospect != "full"]
    queue(tx, person, email="email" in channels, sms="sms" in channels, base_url=base_url)
    return person


def _prospects(person: Person) -> dict[Channel, Prospect]:
    """What would become of an invitation, by channel; raises TooManyRequests if nothing now."""
    to: dict[Channel, str] = {"email": person.email}
    if person.phone:
        to["sms"] = person.phone
    found = prospects.find(str(person.tenant), "people.invitation", to)
    if "full" in found.values() and "sent" not in found.values():
        detail = "As many invitations have gone to this address today as may; try again tomorrow"
        raise TooManyRequests(detail, after_seconds=limits.seconds_left_today())
    return found


def _resend_error(person: Person, now: int) -> AppError:
    """What it means when a resend fails, by the user's row as it was read before."""
    if person.status != "invited":
        return Conflict(
            f"The user is {person.status}; only invited users can be sent an invitation"
        )
    wait = int(person.invitation_sent_at) + rules.RESEND_SECONDS - now
    if wait > 0:
        detail = "The last invitation is less than a minute old; wait before you send another"
        return TooManyRequests(detail, after_seconds=wait)
    return Conflict("Another change of this user came between; read the user and try again")


def token_of(person: Person) -> str:
    """The token of the person's current invitation."""
    version = int(person.invitation_version)
    return signing.seal("invitation", f"{person.tenant}\n{person.id}\n{version}".encode())


def read_token(text: str) -> Token:
    """The content of a token. Raises NotFound for a token that was not made here, Forbidden while
    the tenant is suspended.
    """
    payload = signing.open_seal("invitation", text)
    if payload is None:
        raise NotFound("This invitation is unknown; use the complete link of the message")
    tenant_id, person_id, version = payload.decode().split("\n")
    return Token(tenancy.require_active(tenant_id).id, person_id, int(version))
