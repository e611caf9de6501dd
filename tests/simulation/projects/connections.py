"""Connections to the provider, in both of the ways in which the application finds things again.

`Derived` is the simulated provider, whose ids are derived from keys; `LookedUp` goes through
`Identity`, which looks for what it made before, as with OpenStack and Zadara.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from chalicelib.projects import gateway
from chalicelib.projects.gateway import Proved, Refused, Region, Role, Save, Unproved
from chalicelib.projects.gateway.identity import Identity, ProjectSpec
from chalicelib.projects.gateway.identity import Project as Found
from chalicelib.projects.gateway.simulated import Simulated
from tests.simulation.projects.provider import NOBODY, About, Held, Listing, Provider

T = TypeVar("T")


def connect(provider: Provider, region: Region) -> gateway.Provider:
    """In place of the simulated provider's own class."""
    return LookedUp(provider, region) if provider.looks_up else Derived(provider, region)


class Derived(Simulated):
    """The simulated provider, with a listing."""

    def __init__(self, provider: Provider, region: Region) -> None:
        super().__init__(region)
        self._all, self._listing = provider, provider.listing

    def ensure_project(self, key: str, name: str, *, enabled: bool = True) -> str:
        def make() -> str:
            made: str = Simulated.ensure_project(self, key, name, enabled=enabled)
            self._listing.projects[made] = Found(made, name, enabled)
            return made

        return self._all.call("ensure_project", make)

    def find_project(self, key: str) -> str | None:
        def find() -> str | None:
            found = self._project_of(key)
            return found if found in self._listing.projects else None

        return self._all.call("find_project", find)

    def ensure_user(self, key: str, email: str, name: str) -> gateway.CloudUser:
        def make() -> gateway.CloudUser:
            made = Simulated.ensure_user(self, key, email, name)
            self._listing.users[made.name] = made.id
            return made

        return self._all.call("ensure_user", make, who=key)

    def ensure_grant(self, project_id: str, user_id: str, role: Role) -> None:
        def grant() -> None:
            Simulated.ensure_grant(self, project_id, user_id, role)
            self._listing.grants[project_id, user_id] = {role}

        self._all.call("ensure_grant", grant, (project_id, user_id))

    def revoke_grant(self, project_id: str, user_id: str) -> None:
        def revoke() -> None:
            Simulated.revoke_grant(self, project_id, user_id)
            self._listing.grants.pop((project_id, user_id), None)

        self._all.call("revoke_grant", revoke, (project_id, user_id))

    def rotate_credential(
        self,
        project_id: str,
        user_id: str,
        save: Save,
        old: str | None,
        proved: Proved | None = None,
    ) -> gateway.Credential:
        def keep(made: gateway.Credential) -> gateway.Credential:
            made = save(made) or made
            held = Held(project_id, user_id, made.secret)
            about = (project_id, user_id)
            self._all.call("create_credential", lambda: self._hold(made.id, held), about)
            return made

        return super().rotate_credential(project_id, user_id, keep, old, proved)

    def _hold(self, credential_id: str, held: Held) -> None:
        self._listing.credentials[credential_id] = held

    def drop_credential(self, user_id: str, credential_id: str) -> None:
        def drop() -> None:
            Simulated.drop_credential(self, user_id, credential_id)
            self._listing.credentials.pop(credential_id, None)

        self._all.call("drop_credential", drop, _whose(self._listing, credential_id))

    def delete_project(self, project_id: str) -> None:
        def delete() -> None:
            Simulated.delete_project(self, project_id)
            _delete_project(self._listing, project_id)

        self._all.call("delete_project", delete, (project_id, ""))


def _whose(listing: Listing, credential_id: str) -> About:
    held = listing.credentials.get(credential_id)
    return (held.project_id, held.user_id) if held else NOBODY


def _delete_project(listing: Listing, project_id: str) -> None:
    listing.projects.pop(project_id, None)
    for key in [key for key in listing.grants if key[0] == project_id]:
        del listing.grants[key]


class LookedUp(Identity):
    """An identity service whose ids are its own: what was made is found again, or made twice."""

    def __init__(self, provider: Provider, region: Region) -> None:
        # Not the connection's own: nothing goes over the wire here.
        self.region, self._all, self._listing = region, provider, provider.listing
        self._users: dict[str, str] | None = None
        self._new_users: set[str] = set()
        self._grants: dict[str, dict[str, set[str]]] = {}
        self._web: Any = _Wire()
        self.logins = 1

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def _log_in(self) -> str:
        return ""

    def _do(self, name: str, execute: Callable[[], T], about: About = NOBODY, who: str = "") -> T:
        self._web.tries += 1
        return self._all.call(name, execute, about, who)

    def list_regions(self) -> list[str]:
        return [self.region.name]

    def ensure_user(self, key: str, email: str, name: str) -> gateway.CloudUser:
        self._key = key
        return super().ensure_user(key, email, name)

    def _spec(self, mark: str, title: str, *, enabled: bool) -> ProjectSpec:
        return ProjectSpec(mark, f"{title}-{mark[:8]}", title, enabled)

    def _find_project(self, mark: str) -> Found | None:
        listing = self._listing
        return self._do("find_project", lambda: listing.projects.get(listing.marks.get(mark, "")))

    def _create_project(self, spec: ProjectSpec) -> str | None:
        def make() -> str | None:
            if any(each.name == spec.name for each in self._listing.projects.values()):
                return None
            made = self._next("project", spec.mark)
            self._listing.projects[made] = Found(made, spec.name, spec.enabled)
            self._listing.marks[spec.mark] = made
            return made

        return self._do("create_project", make)

    def _next(self, kind: str, of: str) -> str:
        self._listing.made[f"{kind} {of}"] += 1
        return f"{kind}-{sum(self._listing.made.values())}"

    def _change_project(self, project_id: str, spec: ProjectSpec) -> None:
        def change() -> None:
            self._listing.projects[project_id] = Found(project_id, spec.name, spec.enabled)

        self._do("change_project", change)

    def delete_project(self, project_id: str) -> None:
        about = (project_id, "")
        self._do("delete_project", lambda: _delete_project(self._listing, project_id), about)
        self._grants.pop(project_id, None)

    def _create_user(self, login: str, email: str, name: str) -> str | None:
        def make() -> str | None:
            if login in self._listing.users:
                return None
            self._listing.users[login] = self._next("user", login)
            return self._listing.users[login]

        return self._do("create_user", make, who=self._key)

    def _list_users(self) -> dict[str, str]:
        return self._do("list_users", lambda: dict(self._listing.users))

    def _find_user(self, login: str) -> str | None:
        return self._do("find_user", lambda: self._listing.users.get(login))

    def _role_names(self) -> dict[Role, str]:
        return {"admin": "admin", "member": "member", "reader": "reader"}

    def _list_grants(self, project_id: str) -> dict[str, set[str]]:
        def read() -> dict[str, set[str]]:
            found = self._listing.grants.items()
            return {user: set(words) for (at, user), words in found if at == project_id}

        return self._do("list_grants", read)

    def _put_grant(self, project_id: str, user_id: str, word: str) -> None:
        def put() -> None:
            if project_id not in self._listing.projects:
                raise Refused("there is no such project")
            self._listing.grants.setdefault((project_id, user_id), set()).add(word)

        self._do("put_grant", put, (project_id, user_id))

    def _delete_grant(self, project_id: str, user_id: str, word: str) -> None:
        def delete() -> None:
            words = self._listing.grants.get((project_id, user_id), set())
            words.discard(word)
            if not words:
                self._listing.grants.pop((project_id, user_id), None)

        self._do("delete_grant", delete, (project_id, user_id))

    def _credential_id(self, access: str) -> str:
        return f"id-{access}"

    def _create_credential(self, project_id: str, user_id: str, made: gateway.Credential) -> bool:
        def make() -> bool:
            if made.id in self._listing.credentials:
                return False
            self._listing.credentials[made.id] = Held(project_id, user_id, made.secret)
            return True

        return self._do("create_credential", make, (project_id, user_id))

    def _prove(self, project_id: str, user_id: str, made: gateway.Credential) -> None:
        def prove() -> None:
            held = self._listing.credentials.get(made.id)
            if held != Held(project_id, user_id, made.secret):
                raise Unproved("the credential does not work")

        self._do("prove", prove)

    def drop_credential(self, user_id: str, credential_id: str) -> None:
        listing = self._listing
        about = _whose(listing, credential_id)
        self._do("drop", lambda: listing.credentials.pop(credential_id, None), about)


class _Wire:
    """What `Identity` asks of its connection, where there is none."""

    tries = 0

    def hide(self, _: str) -> None:
        """Nothing is written anywhere."""
