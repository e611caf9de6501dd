"""What other domains ask about a tenant's people. Part of the domain's service."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import cast

from chalicelib.kernel import telemetry
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.settings import settings
from chalicelib.kernel.tenancy import Caller, Role
from chalicelib.kernel.transactions import Transaction
from chalicelib.people import models, rules
from chalicelib.people.models import EmailGuard, Login, Person

MOST_AT_ONCE = 100  #: people of one call
_PRESENT = ("invited", "active")

_logins: dict[tuple[str, str], tuple[float, str]] = {}


@dataclass(frozen=True)
class Profile:
    """Somebody as other domains know them."""

    id: str
    name: str
    email: str
    role: Role


def require(tx: Transaction, tenant_id: str, person_id: str, otherwise: AppError) -> None:
    """Makes `tx` fail with `otherwise` unless this is an invited or active user of the tenant."""
    present = Person.sk.exists() & Person.status.is_in(*_PRESENT)
    tx.check(Person, (tenant_id, models.key_of_person(person_id)), present, otherwise)


def profiles(tenant_id: str, person_ids: Collection[str]) -> dict[str, Profile]:
    """Those of up to 100 ids that are invited or active users of the tenant."""
    found = models.get_people(tenant_id, person_ids)
    return {each.id: _profile(each) for each in found if each.status in _PRESENT}


def page(
    tenant_id: str, roles: Iterable[Role], after: str | None, size: int
) -> tuple[list[Profile], str | None]:
    """Invited and active users with these roles by id: (users, id to go on after or None)."""
    wanted = Person.role.is_in(*roles) & Person.status.is_in(*_PRESENT)
    found, following = models.people_after(tenant_id, after, wanted, size)
    return [_profile(each) for each in found], following


def ids_by_email(tenant_id: str, emails: Iterable[str]) -> dict[str, str]:
    """Whose these addresses are in the tenant: address -> id."""
    guards = {email: models.get_email_guard(tenant_id, rules.email_key(email)) for email in emails}
    return {email: guard.person_id for email, guard in guards.items() if guard}


def id_of(caller: Caller) -> str | None:
    """The user that the caller's login is bound to.

    A binding never changes, so it is remembered for a minute like a tenant's configuration.
    """
    key = (caller.tenant_id, caller.subject)
    cached = _logins.get(key)
    if cached and time.monotonic() - cached[0] < settings.config_cache_seconds:
        return cached[1]
    with telemetry.configuration():
        login = models.get_login(*key)
    if login is None:
        return None
    if len(_logins) > MOST_AT_ONCE * 100:
        _logins.clear()
    _logins[key] = (time.monotonic(), login.person_id)
    return login.person_id


def forget_logins() -> None:
    """Drops what this instance remembers."""
    _logins.clear()


def address_of(tenant_id: str, subject: str, email: str) -> str:
    """Where to write to whoever has this login or verified address: empty for nobody.

    A user's own address; that of the token for an admin of the platform, who is no user.
    """
    bound: Login | EmailGuard | None = models.get_login(tenant_id, subject)
    if bound is None and email:
        bound = models.get_email_guard(tenant_id, rules.email_key(email))
    person = models.get_person(tenant_id, bound.person_id) if bound else None
    if person is None:
        return email
    return person.email if person.status in _PRESENT else ""


def _profile(person: Person) -> Profile:
    return Profile(person.id, person.name, person.email, cast("Role", person.role))
