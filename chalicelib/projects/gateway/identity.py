"""The port for identity services like Keystone. A subclass makes the requests.

What we create carries a mark that is derived from our own key, so that we find it again even if the
name of a project or person has changed. What exists already is not created twice:

    project     looked up by its mark, then created; "exists" means that another was quicker
    user        created; after the first "exists" all of our users are read once
    grant       the grants of a project are read once for each connection
    credential  has an id that follows from that of the one it replaces. So the next try uses or
                replaces what an interrupted one left, and an id that was dropped never comes back
"""

import hashlib
import secrets
from abc import ABC, abstractmethod

import msgspec

from chalicelib.projects.gateway.connection import Connection
from chalicelib.projects.gateway.port import (
    CloudUser,
    Credential,
    Proved,
    Refused,
    Region,
    Role,
    Save,
    Unproved,
)

USER_PREFIX = "bb-"  #: begins the log-in names of the users that we create
_MARK_LETTERS = 32
_SECRET_BYTES = 32


class Project(msgspec.Struct, frozen=True):
    """A project as the provider has it."""

    id: str
    name: str
    enabled: bool


class ProjectSpec(msgspec.Struct, frozen=True):
    """A project as it should be at the provider."""

    mark: str
    name: str  #: its name at the provider, unique in the whole account
    title: str  #: the name that people gave it, unique in its tenant
    enabled: bool


def mark_of(kind: str, key: str) -> str:
    """The mark at the provider of our record `key` of this kind: letters and digits."""
    return hashlib.sha256(f"{kind}\0{key}".encode()).hexdigest()[:_MARK_LETTERS]


class Identity(Connection, ABC):
    """The calls of the port, and below them the methods that a subclass implements."""

    def __init__(self, region: Region, address: str) -> None:
        super().__init__(region, address)
        self._users: dict[str, str] | None = (
            None  #: ids of our users by log-in name, once they were read
        )
        self._new_users: set[str] = set()
        self._grants: dict[str, dict[str, set[str]]] = {}

    def ensure_project(self, key: str, name: str, *, enabled: bool = True) -> str:
        spec = self._spec(mark_of("project", key), name, enabled=enabled)
        project = self._find_project(spec.mark)
        if project is None:
            new_id = self._create_project(spec)
            if new_id is not None:
                return new_id
            project = self._find_project(spec.mark)
        if project is None:
            raise Refused(f"{self._where} has another project named {spec.name!r}")
        if (project.name, project.enabled) != (spec.name, spec.enabled):
            self._change_project(project.id, spec)
        return project.id

    def find_project(self, key: str) -> str | None:
        project = self._find_project(mark_of("project", key))
        return project.id if project else None

    def ensure_user(self, key: str, email: str, name: str) -> CloudUser:
        login = USER_PREFIX + mark_of("user", key)
        known = self._users.get(login) if self._users is not None else None
        return CloudUser(known or self._create_or_find(login, email, name), login)

    def _create_or_find(self, login: str, email: str, name: str) -> str:
        new_id = self._create_user(login, email, name)
        if new_id is not None:
            self._new_users.add(new_id)
            return new_id
        if self._users is None:
            self._users = self._list_users()
        user_id = self._users.get(login) or self._find_user(login)
        if user_id is None:
            raise Refused(f"{self._where} says that the user {login} exists, but does not list it")
        self._users[login] = user_id
        return user_id

    def ensure_grant(self, project_id: str, user_id: str, role: Role) -> None:
        names = self._role_names()
        granted = self._granted(project_id, user_id)
        if names[role] not in granted:
            self._put_grant(project_id, user_id, names[role])
            granted.add(names[role])
        for other in (granted & set(names.values())) - {names[role]}:
            self._delete_grant(project_id, user_id, other)
            granted.discard(other)

    def revoke_grant(self, project_id: str, user_id: str) -> None:
        granted = self._granted(project_id, user_id)
        for role_name in tuple(granted):
            self._delete_grant(project_id, user_id, role_name)
            granted.discard(role_name)

    def _granted(self, project_id: str, user_id: str) -> set[str]:
        if project_id not in self._grants:
            self._grants[project_id] = self._list_grants(project_id)
        return self._grants[project_id].setdefault(user_id, set())

    def rotate_credential(
        self,
        project_id: str,
        user_id: str,
        save: Save,
        old: str | None,
        proved: Proved | None = None,
    ) -> Credential:
        """The first credential of a user whom this connection has created is not proved: it
        replaces no older one, and the proof would be a fourth call for each new user.
        """
        new = self._new_credential(project_id, user_id, old)
        credential = save(new) or new
        self._web.hide(credential.secret)
        is_proved = old is None and user_id in self._new_users
        if not self._create_credential(project_id, user_id, credential):
            is_proved = self._replace_credential(project_id, user_id, credential)
        if not is_proved:
            self._prove(project_id, user_id, credential)
        if proved is not None:
            proved(credential)
        if old is not None:
            self.drop_credential(user_id, old)
        return credential

    def _replace_credential(self, project_id: str, user_id: str, credential: Credential) -> bool:
        """Replaces an existing credential of this id.

        Returns True without replacing it when it is this credential, created by another attempt.
        """
        try:
            self._prove(project_id, user_id, credential)
        except Unproved:
            pass  # not for any other Busy: a credential that works must not be deleted
        else:
            return True
        self.drop_credential(user_id, credential.id)  # an interrupted try left it
        if not self._create_credential(project_id, user_id, credential):
            raise Refused(f"{self._where} keeps a credential that it should have deleted")
        return False

    def _new_credential(self, project_id: str, user_id: str, old: str | None) -> Credential:
        kind = "credential 0" if old is None else f"credential after {old}"
        access = mark_of(kind, f"{project_id}\0{user_id}")
        return Credential(self._credential_id(access), access, secrets.token_hex(_SECRET_BYTES))

    @abstractmethod
    def _spec(self, mark: str, title: str, *, enabled: bool) -> ProjectSpec: ...

    @abstractmethod
    def _find_project(self, mark: str) -> Project | None: ...

    @abstractmethod
    def _create_project(self, spec: ProjectSpec) -> str | None:
        """The new id; None when the name exists already."""

    @abstractmethod
    def _change_project(self, project_id: str, spec: ProjectSpec) -> None: ...

    @abstractmethod
    def _create_user(self, login: str, email: str, name: str) -> str | None:
        """The new id; None when the name exists already."""

    @abstractmethod
    def _list_users(self) -> dict[str, str]:
        """The ids of all users that we have created here, by log-in name."""

    @abstractmethod
    def _find_user(self, login: str) -> str | None: ...

    @abstractmethod
    def _role_names(self) -> dict[Role, str]:
        """The provider's names or ids of our roles, as its grants show them."""

    @abstractmethod
    def _list_grants(self, project_id: str) -> dict[str, set[str]]:
        """The names of the granted roles, by user."""

    @abstractmethod
    def _put_grant(self, project_id: str, user_id: str, role_name: str) -> None: ...

    @abstractmethod
    def _delete_grant(self, project_id: str, user_id: str, role_name: str) -> None: ...

    @abstractmethod
    def _credential_id(self, access: str) -> str: ...

    @abstractmethod
    def _create_credential(self, project_id: str, user_id: str, credential: Credential) -> bool:
        """False when there is a credential of this id already."""

    @abstractmethod
    def _prove(self, project_id: str, user_id: str, credential: Credential) -> None:
        """Raises Busy or Refused unless the credential works."""

    @abstractmethod
    def drop_credential(self, user_id: str, credential_id: str) -> None: ...
