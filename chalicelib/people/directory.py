"""What other domains may know of a tenant's people. Part of the domain's service."""

from collections.abc import Collection, Iterable
from typing import cast

import msgspec

from chalicelib.kernel import telemetry
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.cache import Cache
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.people import models, rules
from chalicelib.people.models import Person

MOST_AT_ONCE = 100  #: the most people that one call reads
_PRESENT = ("invited", "active")


class Profile(msgspec.Struct, frozen=True):
    """A user of the tenant, as far as other domains need to know."""

    id: str
    name: str
    email: str
    role: Role
    is_present: bool  #: True while invited or active, False once deactivated
    version: int


def require(tx: WriteSet, tenant_id: str, person_id: str, error: AppError) -> None:
    """Makes `tx` fail with `error` unless this is an invited or active user of the tenant."""
    present = Person.sk.exists() & Person.status.is_in(*_PRESENT)
    tx.check(Person, (tenant_id, models.key_of_person(person_id)), present, error)


def require_unchanged(tx: WriteSet, tenant_id: str, profile: Profile, error: AppError) -> None:
    """Makes `tx` fail with `error` if the user was changed since the profile was read."""
    same = Person.version == profile.version
    tx.check(Person, (tenant_id, models.key_of_person(profile.id)), same, error)


def find(tenant_id: str, person_id: str) -> Profile | None:
    """The current profile of a user of the tenant, even if deactivated."""
    person = models.get_person(tenant_id, person_id)
    return profile(person) if person else None


def find_all(tenant_id: str, person_ids: Collection[str]) -> dict[str, Profile]:
    """The profiles of up to 100 users by id, deactivated ones too; unknown ids are left out."""
    people = models.get_people(tenant_id, person_ids)
    return {person.id: profile(person) for person in people}


def find_present(tenant_id: str, person_ids: Collection[str]) -> dict[str, Profile]:
    """The profiles of up to 100 users by id; unknown ids and deactivated users are left out."""
    profiles = find_all(tenant_id, person_ids).values()
    return {user.id: user for user in profiles if user.is_present}


def page(
    tenant_id: str, roles: Iterable[Role], after: str | None, size: int
) -> tuple[list[Profile], str | None]:
    """Invited and active users with these roles, by id: (profiles, id for `after`, or None)."""
    only = Person.role.is_in(*roles) & Person.status.is_in(*_PRESENT)
    people, next_after = models.people_after(tenant_id, after, only, size)
    return [profile(person) for person in people], next_after


def ids_by_email(tenant_id: str, emails: Iterable[str]) -> dict[str, str]:
    """The ids of the users with these addresses; addresses without a user are left out."""
    guards = {email: models.get_email_guard(tenant_id, rules.email_key(email)) for email in emails}
    return {email: guard.person_id for email, guard in guards.items() if guard}


def _bound_to(tenant_id: str, subject: str) -> Person | None:
    """The user that the login is bound to now."""
    login = models.get_login(tenant_id, subject)
    if login is None or login.person_id is None:  # a machine is no user
        return None
    person = models.get_person(tenant_id, login.person_id)
    return person if person is not None and person.subject == subject else None


def _read_id(tenant_and_subject: tuple[str, str]) -> str | None:
    with telemetry.configuration():
        person = _bound_to(*tenant_and_subject)
    return person.id if person else None


_ids = Cache(_read_id, keep_seconds=lambda: settings.config_cache_seconds)


def id_of(caller: Caller) -> str | None:
    """The user that the caller's login is bound to, remembered like a tenant's configuration."""
    if caller.user_id:
        return caller.user_id  # the authorizer has looked it up
    return _ids.get((caller.tenant_id, caller.subject))


def address_of(tenant_id: str, subject: str, email: str) -> str:
    """The address for mails to whoever has this login or verified address; empty for nobody.

    That is the user's own address, or the token's address for a login that is no user of the
    tenant, such as an admin of the platform or a machine.
    """
    person = _bound_to(tenant_id, subject)
    if person is None and email:
        guard = models.get_email_guard(tenant_id, rules.email_key(email))
        person = models.get_person(tenant_id, guard.person_id) if guard else None
    if person is None:
        return email
    return person.email if person.status in _PRESENT else ""


def profile(person: Person) -> Profile:
    role, is_present = cast("Role", person.role), person.status in _PRESENT
    return Profile(
        person.id, person.name, person.email, role, is_present, version=int(person.version)
    )
