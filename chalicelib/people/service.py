"""What can be done with people."""

from dataclasses import dataclass
from functools import reduce
from operator import and_
from urllib.parse import quote

from pynamodb.expressions.condition import Condition

from chalicelib.kernel import clock, paging, signing, tenancy
from chalicelib.kernel.errors import Conflict, Forbidden, NotFound, Skip
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.notify import notices
from chalicelib.kernel.paging import Listing, Page, PageQuery
from chalicelib.kernel.tenancy import Caller, Role
from chalicelib.people import models, rules
from chalicelib.people.models import Person
from chalicelib.people.rules import Invitation

_SECONDS_IN_A_DAY = 86_400


@dataclass(frozen=True)
class Invited:
    """A user just saved, and the channels on which the invitation waits to be sent."""

    person: Person
    channels: frozenset[str]


def invite(
    tx: Transaction,
    by: Caller,
    *,
    name: str,
    email: str,
    phone: str | None,
    role: Role,
    send_email: bool,
    send_sms: bool,
    base_url: str,
) -> Invited:
    """Adds a user, the guard of the e-mail address and the invitation's messages to `tx`.

    The commit raises Conflict when the address is taken in this tenant. Raises Forbidden for a
    role that the caller may not give.
    """
    if not rules.may_give(by.role, role):
        raise Forbidden("Only an admin can make an admin")
    person = _new_person(tx.tenant_id, by, name, email, phone, role)
    taken = Conflict(f"A user with the e-mail address {email} already exists")
    tx.create(person)
    tx.create(models.email_guard(tx.tenant_id, person.email_key, person.id), taken)
    queued = notices.enqueue(
        tx,
        "people.invitation",
        {"email": email if send_email else None, "sms": phone if send_sms else None},
        person_id=person.id,
        version=1,
        base_url=base_url,
    )
    return Invited(person, frozenset(queued))


def _new_person(
    tenant_id: str, by: Caller, name: str, email: str, phone: str | None, role: Role
) -> Person:
    return models.person(
        tenant_id,
        clock.new_id(),
        name=name,
        name_key=rules.name_key(name),
        email=email,
        email_key=rules.email_key(email),
        phone=phone,
        role=role,
        status="invited",
        created_at=clock.iso(clock.now()),
        created_by=by.subject,
        invitation_expires_at=clock.epoch_seconds() + rules.INVITATION_DAYS * _SECONDS_IN_A_DAY,
    )


def get(tenant_id: str, person_id: str) -> Person:
    """The user; raises NotFound, also for another tenant's."""
    person = models.get_person(tenant_id, person_id)
    if person is None:
        raise NotFound("No user of this id")
    return person


def find(
    tenant_id: str,
    query: PageQuery,
    *,
    search: str | None,
    status: str | None,
    role: str | None,
) -> Page[Person]:
    """A page of users, newest first; with `search` those whose name or e-mail begins with it."""
    only = _all_of(
        Person.status == status if status else None, Person.role == role if role else None
    )
    return paging.read(_listings(tenant_id, search, only), query, tenant_id, "users")


def _listings(tenant_id: str, search: str | None, only: Condition | None) -> list[Listing[Person]]:
    if not search or not search.strip():
        return [models.people_by_id(tenant_id, only)]
    name, email = rules.name_key(search), rules.email_key(search.strip())
    # Those found by name are left out of the second part, or they would come twice.
    others = _all_of(only, ~Person.name_key.startswith(name))
    return [
        models.people_by_name(tenant_id, name, only),
        models.people_by_email(tenant_id, email, others),
    ]


def _all_of(*conditions: Condition | None) -> Condition | None:
    wanted = [condition for condition in conditions if condition is not None]
    return reduce(and_, wanted) if wanted else None


def invitation_to_send(tenant_id: str, person_id: str, version: int, base_url: str) -> Invitation:
    """What the invitation's texts say now; raises Skip when it is no longer wanted."""
    person = models.get_person(tenant_id, person_id)
    if person is None or person.status == "deactivated":
        raise Skip("user-deleted")
    if person.status != "invited" or int(person.invitation_version) != version:
        raise Skip("invitation-replaced")
    if person.invitation_expires_at <= clock.epoch_seconds():
        raise Skip("invitation-expired")
    tenant = tenancy.find(tenant_id)
    return Invitation(
        name=person.name,
        tenant_name=tenant.name if tenant else tenant_id,
        link=f"{base_url}/invitations/accept?token={quote(token_of(person))}",
        days=rules.INVITATION_DAYS,
    )


def token_of(person: Person) -> str:
    """The token of the person's current invitation: derived, never stored."""
    version = int(person.invitation_version)
    return signing.seal("invitation", f"{person.tenant}\n{person.id}\n{version}".encode())
