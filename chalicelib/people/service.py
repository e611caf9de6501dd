"""Creating, changing, finding and signing in people. See also `invitations/` and `imports/`."""

from functools import reduce
from operator import and_
from typing import Any, TypedDict, cast

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
from chalicelib.kernel.store import paging, preconditions
from chalicelib.kernel.store.paging import Listing, Page, PageQuery
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.people import directory, models, rules
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


class Change(TypedDict, total=False):
    """New values of a user. None removes a phone number; missing members stay as they are."""

    name: str
    phone: str | None
    role: Role
    status: rules.Status


def change(tx: Transaction, by: Caller, person_id: str, new: Change, if_match: IfMatch) -> Person:
    """Adds a user's change to `tx`, and publishes "people.changed" when their profile changes.

    Returns the changed user.

    Raises NotFound, and Forbidden for a role that the caller may not give or change. The commit
    raises PreconditionFailed when the user is in none of the versions of `if_match`, Conflict when
    another change came between.
    """
    person = get(tx.tenant_id, person_id)
    _check_roles(by, person, new)
    before = directory.profile(person)
    values: dict[str, Any] = {**new}
    if "name" in new:
        values["name_key"] = rules.name_key(new["name"])
    preconditions.apply(tx, person, values, if_match, "user")
    after = directory.profile(person)
    if msgspec.structs.replace(before, version=after.version) != after:
        tx.publish("people.changed", person_id=after.id)
    return person


def _check_roles(by: Caller, person: Person, new: Change) -> None:
    themselves = by.subject == person.subject or rules.email_key(by.email) == person.email_key
    if themselves and (new.get("role", person.role) != person.role or "status" in new):
        raise Forbidden("Nobody can change their own role or deactivate themselves")
    roles = (cast("Role", person.role), new.get("role", "staff"))
    if not all(rules.may_give(by.role, role) for role in roles):
        raise Forbidden("Only an admin can change an admin or make somebody an admin")


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


def sign_in(caller: Caller) -> bool:
    """At the first login, binds the token's subject to the user with its verified e-mail address.

    Returns False for a user who was deactivated. Safe to repeat.
    """
    if not caller.tenant_id:
        return True
    login = models.get_login(caller.tenant_id, caller.subject)
    person_id = login.person_id if login else _person_with(caller.tenant_id, caller.email)
    person = models.get_person(caller.tenant_id, person_id) if person_id else None
    if person is None:
        return True
    if login is None:
        _bind(caller, person)
    return person.status != "deactivated"


def _person_with(tenant_id: str, email: str) -> str | None:
    guard = models.get_email_guard(tenant_id, rules.email_key(email)) if email else None
    return guard.person_id if guard else None


def _bind(caller: Caller, person: Person) -> None:
    """Binds one subject to one person; an existing binding of either is never replaced."""
    tx = Transaction(caller.tenant_id)
    tx.create(models.login(caller.tenant_id, caller.subject, person.id))
    actions = [Person.subject.set(caller.subject)]
    tx.update(person, actions, Person.sk.exists() & Person.subject.does_not_exist())
    try:
        tx.commit()
    except Conflict:
        return  # another login was bound first: this one stays unbound
