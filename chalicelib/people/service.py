"""Creating and finding people. See also `changes`, `access`, `invitations/` and `imports/`."""

from functools import reduce
from operator import and_

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.kernel import clock
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.errors import (
    Conflict,
    Forbidden,
    NotFound,
)
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.store import paging
from chalicelib.kernel.store.paging import Listing, Page, PageQuery
from chalicelib.people import models, rules
from chalicelib.people.invitations import service as invitations
from chalicelib.people.models import Person


class NewPerson(msgspec.Struct, frozen=True):
    """The values of a user who is to be invited."""

    name: str
    email: str
    role: Role
    phone: str | None = None
    send_email: bool = True
    send_sms: bool = True


class Invited(msgspec.Struct, frozen=True):
    """A new user, and the channels on which an invitation is queued."""

    person: Person
    channels: frozenset[str]


def invite(tx: Transaction, by: Caller, new: NewPerson, *, base_url: str) -> Invited:
    """Adds a user, the guard of the e-mail address and the invitation's messages to `tx`.

    Raises Forbidden for a role that the caller may not give. The commit raises Conflict when the
    address is taken in this tenant.
    """
    if not rules.may_give(by.role, new.role):
        raise Forbidden("Only an admin can create an admin")
    person = new_person(tx.tenant_id, clock.new_id(), new, created_by=by.subject)
    taken = Conflict(f"A user with the e-mail address {new.email} already exists")
    tx.create(person)
    tx.create(models.email_guard(tx.tenant_id, person.email_key, person.id), taken)
    queued = invitations.queue(
        tx, person, email=new.send_email, sms=new.send_sms, base_url=base_url
    )
    return Invited(person, frozenset(queued))


def new_person(tenant_id: str, person_id: str, new: NewPerson, *, created_by: str) -> Person:
    """The record of an invited user, not yet saved."""
    return models.person(
        tenant_id,
        person_id,
        name=new.name,
        name_key=rules.name_key(new.name),
        email=new.email,
        email_key=rules.email_key(new.email),
        phone=new.phone,
        role=new.role,
        status="invited",
        created_at=clock.iso(clock.now()),
        created_by=created_by,
        invitation_sent_at=clock.epoch_seconds(),
        invitation_expires_at=invitations.expiry(),
    )


def get(tenant_id: str, person_id: str) -> Person:
    """The user; raises NotFound, even if another tenant has a user of this id."""
    person = models.get_person(tenant_id, person_id)
    if person is None:
        raise NotFound("No user has this id")
    return person


def find(
    tenant_id: str,
    query: PageQuery,
    *,
    search: str | None,
    status: str | None,
    role: str | None,
) -> Page[Person]:
    """A page of users, newest first; with `search` only those whose name or address begins so."""
    only = _all_of(
        Person.status == status if status else None, Person.role == role if role else None
    )
    return paging.read(_listings(tenant_id, search, only), query, tenant_id, "users")


def _listings(tenant_id: str, search: str | None, only: Condition | None) -> list[Listing[Person]]:
    if not search or not search.strip():
        return [models.people_by_id(tenant_id, only)]
    name, email = rules.name_key(search), rules.email_key(search.strip())
    # The listing by address leaves out those that the listing by name shows already.
    others = _all_of(only, ~Person.name_key.startswith(name))
    return [
        models.people_by_name(tenant_id, name, only),
        models.people_by_email(tenant_id, email, others),
    ]


def _all_of(*conditions: Condition | None) -> Condition | None:
    present = [condition for condition in conditions if condition is not None]
    return reduce(and_, present) if present else None
