"""Changing people: their values, their address, and ending and restoring their access.

Part of the domain's service.
"""

from typing import Any, TypedDict, cast

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.errors import Conflict, Forbidden, Skip
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.notify import notices
from chalicelib.kernel.store import preconditions
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.people import directory, models, rules, service
from chalicelib.people.invitations import service as invitations
from chalicelib.people.models import EmailGuard, Person

_PAGE = 2000  #: people that one read of the search for another manager takes
MOST_READS = 10  #: to find another manager


class Change(TypedDict, total=False):
    """New values of a user. None removes a phone number; missing members stay as they are."""

    name: str
    email: str
    phone: str | None
    role: Role


def change(
    tx: Transaction, by: Caller, person_id: str, new: Change, if_match: IfMatch, *, base_url: str
) -> Person:
    """Adds a user's change to `tx`, and publishes "people.changed" when their profile changes.

    With another address the login that was bound ends, and a new invitation goes there. Returns the
    changed user. Raises NotFound, Forbidden for a role that the caller may not give or change, and
    Conflict for the last manager, whose address only an admin may change: with a mistake in it
    nobody could enter any more. The commit raises PreconditionFailed when the user is in none of
    the versions of `if_match`, Conflict when another change came between or the address is taken.
    """
    person = service.get(tx.tenant_id, person_id)
    _check_roles(by, person, new.get("role"))
    is_moved = "email" in new and rules.email_key(new["email"]) != person.email_key
    is_demoted = new.get("role", "manager") not in ("manager", "admin")
    if is_demoted or (is_moved and by.role != "admin"):
        _keep_a_manager(tx, person)
    values: dict[str, Any] = {**new}
    if "name" in new:
        values["name_key"] = rules.name_key(new["name"])
    if is_moved:
        values |= _moved(tx, person, new["email"])
    _apply(tx, person, values, if_match)
    if is_moved and person.status == "invited":
        invitations.queue(tx, person, email=True, sms=True, base_url=base_url)
    return person


def _moved(tx: Transaction, person: Person, email: str) -> dict[str, Any]:
    """The values of a user with another address; adds the change of the addresses' guards to `tx`.

    Whoever had the old address can neither use its link nor sign in as this user any more.
    """
    key = rules.email_key(email)
    tx.delete(models.email_guard(tx.tenant_id, person.email_key), EmailGuard.person_id == person.id)
    taken = Conflict(f"A user with the e-mail address {email} already exists")
    tx.create(models.email_guard(tx.tenant_id, key, person.id), taken)
    invited = {"email_key": key, "subject": None, **invitations.renewed(person)}
    if person.status == "deactivated":
        return {**invited, "status_before": "invited"}
    return {**invited, "status": "invited"}


def deactivate(tx: Transaction, by: Caller, person_id: str, if_match: IfMatch) -> Person:
    """Adds the end of a user's access to `tx`; raises what `change` raises."""
    person = service.get(tx.tenant_id, person_id)
    _check_roles(by, person, None, is_ended=True)
    _keep_a_manager(tx, person)
    values = {"status": "deactivated"}
    if person.status != "deactivated":
        values["status_before"] = person.status
    _apply(tx, person, values, if_match)
    return person


def reactivate(
    tx: Transaction, by: Caller, person_id: str, if_match: IfMatch, *, base_url: str
) -> Person:
    """Adds the return of a deactivated user to `tx`: their role and their login stay as they were.

    Whoever had accepted is told that they may sign in again; who had not gets a new invitation.
    Raises what `change` raises, and Conflict for a user who is not deactivated.
    """
    person = service.get(tx.tenant_id, person_id)
    _check_roles(by, person, None)
    if person.status != "deactivated":
        raise Conflict(f"The user is {person.status}; only a deactivated user can be reactivated")
    # Users deactivated by an earlier release have no `status_before`.
    before = person.status_before or ("active" if person.subject else "invited")
    renewed = invitations.renewed(person) if before == "invited" else {}
    _apply(tx, person, {"status": before, "status_before": None, **renewed}, if_match)
    if before == "invited":
        invitations.queue(tx, person, email=True, sms=True, base_url=base_url)
    else:
        notices.enqueue(tx, "people.reactivated", {"email": person.email}, person_id=person.id)
    return person


def _apply(tx: Transaction, person: Person, values: dict[str, Any], if_match: IfMatch) -> None:
    before = directory.profile(person)
    preconditions.apply(tx, person, values, if_match, "user")
    after = directory.profile(person)
    if msgspec.structs.replace(before, version=after.version) != after:
        tx.publish("people.changed", person_id=after.id)


def _check_roles(by: Caller, person: Person, role: Role | None, *, is_ended: bool = False) -> None:
    themselves = by.user_id == person.id or by.subject == person.subject
    themselves |= rules.email_key(by.email) == person.email_key
    if themselves and (role not in (None, person.role) or is_ended):
        raise Forbidden("Nobody can change their own role or deactivate themselves")
    roles = (cast("Role", person.role), role or "staff")
    if not all(rules.may_give(by.role, each) for each in roles):
        raise Forbidden("Only an admin can change an admin or make somebody an admin")


def _keep_a_manager(tx: Transaction, person: Person) -> None:
    """Makes `tx` fail unless another manager is left who can enter. Raises Conflict for the last.

    The other one is checked in the transaction, so that of two managers who end each other at the
    same time one stays.
    """
    if person.role != "manager" or not (person.status == "active" or _has_entered(person)):
        return
    other = _another_manager(person)
    if other is None:
        raise Conflict("This is the tenant's last active manager; make somebody else one first")
    key = (tx.tenant_id, models.key_of_person(other.id))
    tx.check(
        Person,
        key,
        _is_able_manager(),
        Conflict("The other manager was changed meanwhile; try again"),
    )


def _has_entered(person: Person) -> bool:
    """True for a user whose login an earlier release bound without making them active."""
    return bool(person.status == "invited" and person.subject)


def _is_able_manager() -> Condition:
    """Holds for a manager who can enter: an active one, or one for whom `_has_entered` holds."""
    has_entered = (Person.status == "invited") & Person.subject.exists()
    is_able: Condition = (Person.status == "active") | has_entered
    is_able &= Person.role == "manager"
    return is_able


def _another_manager(person: Person) -> Person | None:
    """Another manager of the tenant who can enter, among its first 20,000 users.

    That is mostly one read: a tenant's first users are its managers.
    """
    only = _is_able_manager()
    after: str | None = None
    for _ in range(MOST_READS):
        found, after = models.people_after(str(person.tenant), after, only, _PAGE)
        others = [each for each in found if each.id != person.id]
        if others or after is None:
            return others[0] if others else None
    return None


def greeting(tenant_id: str, person_id: str) -> dict[str, str]:
    """The values of the message to a reactivated user; raises Skip when they are not any more."""
    person, tenant = models.get_person(tenant_id, person_id), tenancy.find(tenant_id)
    if person is None or person.status != "active":
        raise Skip("user-not-active")
    return {"name": person.name, "tenant_name": tenant.name if tenant else tenant_id}
