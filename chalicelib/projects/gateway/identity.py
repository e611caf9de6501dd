"""The port over an identity service in the manner of Keystone; a dialect puts it into requests.

What we make carries a mark of ours, derived from our own key, by which it is found again: names of
projects and people may change. What is there already is not made twice:

    project     looked up by its mark, then made; "exists" means that another was quicker
    user        made; the first "exists" has all of ours read once, and the rest is known from it
    grant       those of a project are read once for each connection
    credential  stands at one of two places, the one where the old one is not. So what a try that
                was broken off left is used or overwritten by the next, and there is never a third
"""

import hashlib
import secrets
from abc import ABC, abstractmethod

import msgspec

from chalicelib.projects.gateway.connection import Connection
from chalicelib.projects.gateway.port import (
    Busy,
    CloudUser,
    Credential,
    Down,
    Refused,
    Region,
    Role,
    Save,
)

USER_PREFIX = "bb-"  #: of the log-in names of the users that we make
_MARK_LETTERS = 32
_SECRET_BYTES = 32


class Project(msgspec.Struct, frozen=True):
    """A project as the provider has it."""

    id: str
    name: str
    enabled: bool


class Wanted(msgspec.Struct, frozen=True):
    """A project as it shall be."""

    mark: str
    name: str  #: at the provider, where names are unique in an account and not in a tenant
    title: str  #: the one that people gave it
    enabled: bool


def mark_of(kind: str, key: str) -> str:
    """What our record `key` of this kind is known by at the provider: letters and digits."""
    return hashlib.sha256(f"{kind}\0{key}".encode()).hexdigest()[:_MARK_LETTERS]


class Identity(Connection, ABC):
    """The port's calls; what a dialect must say stands below them."""

    def __init__(self, region: Region, address: str) -> None:
        super().__init__(region, address)
        self._users: dict[str, str] | None = None  #: ids of ours by name, once they were read
        self._new_users: set[str] = set()
        self._grants: dict[str, dict[str, set[str]]] = {}

    def ensure_project(self, key: str, name: str, *, enabled: bool = True) -> str:
        wanted = self._wanted(mark_of("project", key), name, enabled=enabled)
        found = self._find_project(wanted.mark)
        if found is None:
            made = self._create_project(wanted)
            if made is not None:
                return made
            found = self._find_project(wanted.mark)
        if found is None:
            raise Refused(f"{self._where} has another project named {wanted.name!r}")
        if (found.name, found.enabled) != (wanted.name, wanted.enabled):
            self._change_project(found.id, wanted)
        return found.id

    def find_project(self, key: str) -> str | None:
        found = self._find_project(mark_of("project", key))
        return found.id if found else None

    def ensure_user(self, key: str, email: str, name: str) -> CloudUser:
        login = USER_PREFIX + mark_of("user", key)
        known = self._users.get(login) if self._users is not None else None
        return CloudUser(known or self._make_or_find(login, email, name), login)

    def _make_or_find(self, login: str, email: str, name: str) -> str:
        made = self._create_user(login, email, name)
        if made is not None:
            self._new_users.add(made)
            return made
        if self._users is None:
            self._users = self._list_users()
        found = self._users.get(login) or self._find_user(login)
        if found is None:
            raise Refused(f"{self._where} says that the user {login} exists, but shows none")
        self._users[login] = found
        return found

    def ensure_grant(self, project_id: str, user_id: str, role: Role) -> None:
        words = self._role_words()
        held = self._held(project_id, user_id)
        if words[role] not in held:
            self._put_grant(project_id, user_id, words[role])
            held.add(words[role])
        for other in (held & set(words.values())) - {words[role]}:
            self._delete_grant(project_id, user_id, other)
            held.discard(other)

    def revoke_grant(self, project_id: str, user_id: str) -> None:
        held = self._held(project_id, user_id)
        for word in tuple(held):
            self._delete_grant(project_id, user_id, word)
            held.discard(word)

    def _held(self, project_id: str, user_id: str) -> set[str]:
        if project_id not in self._grants:
            self._grants[project_id] = self._list_grants(project_id)
        return self._grants[project_id].setdefault(user_id, set())

    def rotate_credential(
        self,
        project_id: str,
        user_id: str,
        save: Save,
        old: str | None,
    ) -> Credential:
        """The first credential of a user that was made just now is not proved: nothing depends on
        an older one, and it would be a fourth call for each new user.
        """
        new = self._new_credential(project_id, user_id, old)
        made = save(new) or new
        self._web.hide(made.secret)
        is_proved = old is None and user_id in self._new_users
        if not self._create_credential(project_id, user_id, made):
            is_proved = self._put_in_place(project_id, user_id, made)
        if not is_proved:
            self._prove(project_id, user_id, made)
        if old is not None:
            self.drop_credential(user_id, old)
        return made

    def _put_in_place(self, project_id: str, user_id: str, made: Credential) -> bool:
        """Where there is one already: True when it is this very one, made by another attempt."""
        try:
            self._prove(project_id, user_id, made)
        except Busy as busy:
            if isinstance(busy, Down):
                raise
        else:
            return True
        self.drop_credential(user_id, made.id)  # left by a try that was broken off
        if not self._create_credential(project_id, user_id, made):
            raise Refused(f"{self._where} keeps a credential that it should have dropped")
        return False

    def _new_credential(self, project_id: str, user_id: str, old: str | None) -> Credential:
        places = [mark_of(f"credential {n}", f"{project_id}\0{user_id}") for n in (0, 1)]
        access = next(each for each in places if self._credential_id(each) != old)
        return Credential(self._credential_id(access), access, secrets.token_hex(_SECRET_BYTES))

    @abstractmethod
    def _wanted(self, mark: str, title: str, *, enabled: bool) -> Wanted: ...

    @abstractmethod
    def _find_project(self, mark: str) -> Project | None: ...

    @abstractmethod
    def _create_project(self, wanted: Wanted) -> str | None:
        """Its id; None when one of the name exists."""

    @abstractmethod
    def _change_project(self, project_id: str, wanted: Wanted) -> None: ...

    @abstractmethod
    def _create_user(self, login: str, email: str, name: str) -> str | None:
        """Its id; None when one of the name exists."""

    @abstractmethod
    def _list_users(self) -> dict[str, str]:
        """Ids by log-in name, of all users that we made here."""

    @abstractmethod
    def _find_user(self, login: str) -> str | None: ...

    @abstractmethod
    def _role_words(self) -> dict[Role, str]:
        """What the provider calls the roles, as its grants name them."""

    @abstractmethod
    def _list_grants(self, project_id: str) -> dict[str, set[str]]:
        """The roles' words by user."""

    @abstractmethod
    def _put_grant(self, project_id: str, user_id: str, word: str) -> None: ...

    @abstractmethod
    def _delete_grant(self, project_id: str, user_id: str, word: str) -> None: ...

    @abstractmethod
    def _credential_id(self, access: str) -> str: ...

    @abstractmethod
    def _create_credential(self, project_id: str, user_id: str, made: Credential) -> bool:
        """False when there is one at its place."""

    @abstractmethod
    def _prove(self, project_id: str, user_id: str, made: Credential) -> None:
        """Raises Busy or Refused unless the credential works."""

    @abstractmethod
    def drop_credential(self, user_id: str, credential_id: str) -> None: ...
