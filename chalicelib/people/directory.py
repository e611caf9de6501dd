"""What other domains ask about a tenant's people. Part of the domain's service."""

from collections.abc import Callable, Collection, Iterable
from typing import cast

import msgspec

from chalicelib.kernel import telemetry
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.cache import Cache
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.jobs import outbox
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.people import models, rules
from chalicelib.people.models import EmailGuard, Login, Person

MOST_AT_ONCE = 100  #: people of one call
_PRESENT = ("invited", "active")

#: What another domain adds to the transaction in which somebody of this id changes.
Follow = Callable[[outbox.Transaction, str], None]

_follows: list[Follow] = []


class Profile(msgspec.Struct, frozen=True):
    """Somebody as other domains know them."""

    id: str
    name: str
    email: str
    role: Role
    is_present: bool  #: invited or active; whoever was deactivated is not
    version: int


def when_changed(follow: Follow) -> Follow:
    """Declares what shall happen when somebody's profile changes: in the same transaction."""
    _follows.append(follow)
    return follow


def say_changed(tx: outbox.Transaction, before: Profile, after: Profile) -> None:
    """Lets the other domains add to `tx` what follows, unless the change is none of theirs."""
    if msgspec.structs.replace(before, version=after.version) != after:
        for follow in _follows:
            follow(tx, after.id)


def require(tx: WriteSet, tenant_id: str, person_id: str, error: AppError) -> None:
    """Makes `tx` fail with `otherwise` unless this is an invited or active user of the tenant."""
    present = Person.sk.exists() & Person.status.is_in(*_PRESENT)
    tx.check(Person, (tenant_id, models.key_of_person(person_id)), present, error)


def require_unchanged(tx: WriteSet, tenant_id: str, profile: Profile, error: AppError) -> None:
    """Makes `tx` fail with `otherwise` unless somebody is still as they were read."""
    same = Person.version == profile.version
    tx.check(Person, (tenant_id, models.key_of_person(profile.id)), same, error)


def find(tenant_id: str, person_id: str) -> Profile | None:
    """A user of the tenant, deactivated ones too, as they are now."""
    found = models.get_person(tenant_id, person_id)
    return profile(found) if found else None


def known(tenant_id: str, person_ids: Collection[str]) -> dict[str, Profile]:
    """Those of up to 100 ids that are users of the tenant, deactivated ones too."""
    return {each.id: profile(each) for each in models.get_people(tenant_id, person_ids)}


def profiles(tenant_id: str, person_ids: Collection[str]) -> dict[str, Profile]:
    """Those of up to 100 ids that are invited or active users of the tenant."""
    found = known(tenant_id, person_ids)
    return {each.id: each for each in found.values() if each.is_present}


def page(
    tenant_id: str, roles: Iterable[Role], after: str | None, size: int
) -> tuple[list[Profile], str | None]:
    """Invited and active users with these roles by id: (users, id to go on after or None)."""
    wanted = Person.role.is_in(*roles) & Person.status.is_in(*_PRESENT)
    found, following = models.people_after(tenant_id, after, wanted, size)
    return [profile(each) for each in found], following


def ids_by_email(tenant_id: str, emails: Iterable[str]) -> dict[str, str]:
    """Whose these addresses are in the tenant: address -> id."""
    guards = {email: models.get_email_guard(tenant_id, rules.email_key(email)) for email in emails}
    return {email: guard.person_id for email, guard in guards.items() if guard}


def _read_id(tenant_and_subject: tuple[str, str]) -> str | None:
    with telemetry.configuration():
        login = models.get_login(*tenant_and_subject)
    return login.person_id if login else None


# A login is never bound to another user, so its age does not matter.
_ids = Cache(_read_id, keep_seconds=lambda: settings.config_cache_seconds)


def id_of(caller: Caller) -> str | None:
    """The user that the caller's login is bound to, remembered like a tenant's configuration."""
    return _ids.get((caller.tenant_id, caller.subject))


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


def profile(person: Person) -> Profile:
    role, is_present = cast("Role", person.role), person.status in _PRESENT
    return Profile(
        person.id, person.name, person.email, role, is_present, version=int(person.version)
    )
