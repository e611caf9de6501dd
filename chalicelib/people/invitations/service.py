"""Invitations to the end: what is sent, resending, accepting. Part of the domain's service.

A token is derived, never stored: tenant, person and version under the signing key. Resending
raises the version, so that the earlier token stops working.
"""

from typing import Any
from urllib.parse import quote

import msgspec

from chalicelib.kernel import clock, signing
from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.errors import AppError, Conflict, Gone, NotFound, Skip, TooManyRequests
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.notify import notices
from chalicelib.kernel.store import preconditions
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.people import models, rules
from chalicelib.people.models import Person
from chalicelib.people.rules import Invitation


class Token(msgspec.Struct, frozen=True):
    """What an invitation's token says."""

    tenant_id: str
    person_id: str
    version: int


def queue(
    tx: Transaction, person: Person, *, email: bool, sms: bool, base_url: str, queue: str = "notify"
) -> dict[Any, Job]:
    """Adds the messages of the person's current invitation to `tx`: channel -> job.

    Raises Unavailable while no signing key is set: a link could not be made when it is sent.
    """
    signing.check_keys()
    return notices.enqueue(
        tx,
        "people.invitation",
        {"email": person.email if email else None, "sms": person.phone if sms else None},
        queue=queue,
        person_id=person.id,
        version=int(person.invitation_version),
        base_url=base_url,
    )


def expiry() -> int:
    """When an invitation sent now expires, in epoch seconds."""
    return clock.epoch_seconds() + rules.INVITATION_SECONDS


def to_send(tenant_id: str, person_id: str, version: int, base_url: str) -> Invitation:
    """What the invitation's texts say now; raises Skip when it is no longer wanted."""
    tenant = tenancy.find(tenant_id)
    if tenant is None or tenant.status != "active":
        raise Skip("tenant-suspended")  # whose links are refused
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


def resend(tx: Transaction, person_id: str, base_url: str, if_match: IfMatch) -> Person:
    """Adds a new invitation to `tx`; the earlier token stops working with the commit.

    Raises NotFound. The commit raises Conflict once active or deactivated or when another resend
    came between, TooManyRequests within a minute of the last: there a request that is repeated
    under its key finds its answer first.
    """
    person = models.get_person(tx.tenant_id, person_id)
    if person is None:
        raise NotFound("No user of this id")
    now, seen = clock.epoch_seconds(), person.invitation_version
    open_ = (
        (Person.invitation_version == seen)
        & (Person.status == "invited")
        & (Person.invitation_sent_at <= now - rules.RESEND_SECONDS)
    )
    condition = preconditions.and_unchanged_since(
        person, if_match, "user", open_, _why_not_resent(person, now)
    )
    person.invitation_version = int(seen) + 1
    person.invitation_sent_at = now
    person.invitation_expires_at = expiry()
    tx.update(
        person,
        [
            Person.invitation_version.set(person.invitation_version),
            Person.invitation_sent_at.set(person.invitation_sent_at),
            Person.invitation_expires_at.set(person.invitation_expires_at),
            Person.version.set(Person.version + 1),
        ],
        *condition,
    )
    queue(tx, person, email=True, sms=True, base_url=base_url)
    return person


def _why_not_resent(person: Person, now: int) -> AppError:
    """What a resend that fails means, by the user as seen before it."""
    if person.status != "invited":
        return Conflict(f"The user is {person.status}; there is nothing to accept")
    wait = int(person.invitation_sent_at) + rules.RESEND_SECONDS - now
    if wait > 0:
        return TooManyRequests("The last invitation is less than a minute old", after_seconds=wait)
    return Conflict("Another change of this user came between; try again")


def token_of(person: Person) -> str:
    """The token of the person's current invitation."""
    version = int(person.invitation_version)
    return signing.seal("invitation", f"{person.tenant}\n{person.id}\n{version}".encode())


def read_token(text: str) -> Token:
    """What the token says. Raises NotFound for one that was not made here, Forbidden while its
    tenant is suspended.
    """
    payload = signing.open_seal("invitation", text)
    if payload is None:
        raise NotFound("This invitation is unknown")
    tenant_id, person_id, version = payload.decode().split("\n")
    return Token(tenancy.active(tenant_id).id, person_id, int(version))


class _NotOpen(AppError):
    """The invitation cannot be accepted"""

    STATUS = 404
    RETURNS_EXISTING = True

    def __init__(self) -> None:
        super().__init__("This invitation was used, replaced, or never existed")
        self.person: Person | None = None

    def on_conflict(self, raw_item: dict[str, Any]) -> None:
        self.person = Person.from_raw_data(raw_item)


class Acceptance:
    """A transaction that accepts an invitation, once, however many try at the same time.

    Its commit raises NotFound for a token that was used, replaced or is unknown, Gone for one that
    expired; `person` is the user as they were before.
    """

    def __init__(self, token: Token) -> None:
        self._tx = Transaction(token.tenant_id)
        self._token = token
        now = clock.epoch_seconds()
        open_ = (
            (Person.status == "invited")
            & (Person.invitation_version == token.version)
            & (Person.invitation_expires_at > now)
        )
        actions = [Person.status.set("active"), Person.version.set(Person.version + 1)]
        who = models.person(token.tenant_id, token.person_id)
        self._tx.update(who, actions, open_, _NotOpen())

    def save(self, *arguments: Any) -> None:
        """Adds to the transaction, as the answer kept for an Idempotency-Key."""
        self._tx.save(*arguments)

    def commit(self) -> None:
        try:
            self._tx.commit()
        except _NotOpen as refused:
            raise _meaning(refused, self._token) from refused


def _meaning(refused: _NotOpen, token: Token) -> AppError:
    person = refused.person
    waits = person is not None and person.status == "invited"
    if person is not None and waits and int(person.invitation_version) == token.version:
        return Gone("This invitation has expired; ask for a new one")
    return NotFound(refused.detail)


def look(token: Token) -> Invitation:
    """The invitation as its page shows it, changing nothing. Raises as `Acceptance.commit`."""
    person = models.get_person(token.tenant_id, token.person_id)
    if (
        person is None
        or person.status != "invited"
        or int(person.invitation_version) != token.version
    ):
        raise NotFound("This invitation was used, replaced, or never existed")
    if person.invitation_expires_at <= clock.epoch_seconds():
        raise Gone("This invitation has expired; ask for a new one")
    tenant_name = tenancy.active(token.tenant_id).name
    return Invitation(person.name, tenant_name, "", rules.INVITATION_DAYS)
