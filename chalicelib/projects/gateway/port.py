"""What a cloud provider must be able to do, and the errors that it may raise."""

from collections.abc import Callable
from typing import Literal, Protocol, Self

import msgspec

#: The role of a user in one project. Each provider has its own names for them.
Role = Literal["admin", "member", "reader"]


class Region(msgspec.Struct, frozen=True):
    """The address of a provider, and our account there. One region is one address."""

    provider: str
    name: str
    address: str
    account: str  #: a domain, or "domain/project" if the log-in is for a project in it
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Region({self.provider}, {self.name}, {self.address})"


class CloudUser(msgspec.Struct, frozen=True):
    """A person at the provider."""

    id: str
    name: str


class Credential(msgspec.Struct, frozen=True):
    """An access key of one user in one project."""

    id: str
    access: str
    secret: str

    def __repr__(self) -> str:
        return f"Credential({self.id})"


#: Saves a credential before the provider creates it. It may return another one, which is created
#: instead: the one of an attempt that was interrupted or is still under way.
Save = Callable[[Credential], Credential | None]
#: Is called with a credential that works, before the one that it replaces is deleted.
Proved = Callable[[Credential], None]


class Refused(Exception):
    """The provider will never do this. The argument is a reason that people can act on."""


class Busy(Exception):
    """The provider limits us. The same call may succeed in `after_seconds`."""

    def __init__(self, reason: str, *, after_seconds: int = 1) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Down(Busy):
    """The provider does not answer, or its answer means an outage; other calls would fail too.

    The call may have been carried out. Making it again does no harm.
    """


class Unproved(Busy):
    """The provider answers, and says that a credential does not work, or not yet."""


class Provider(Protocol):
    """One connection with one log-in, whose token serves every call.

    All calls may raise Refused, Busy and Down. Their texts contain no secret.
    """

    @property
    def calls(self) -> int:
        """The number of requests so far, without log-ins."""
        ...

    @property
    def logins(self) -> int:
        """The number of log-ins so far."""
        ...

    def ensure_project(self, key: str, name: str, *, enabled: bool = True) -> str:
        """Makes sure that our project `key` exists under this name; returns the provider's id."""
        ...

    def find_project(self, key: str) -> str | None:
        """The provider's id of our project `key`; None when it does not exist."""
        ...

    def ensure_user(self, key: str, email: str, name: str) -> CloudUser:
        """Makes sure that our person `key` has a user, who is the same one in all projects."""
        ...

    def ensure_grant(self, project_id: str, user_id: str, role: Role) -> None:
        """Gives the user this role in the project, and takes our other roles away."""
        ...

    def revoke_grant(self, project_id: str, user_id: str) -> None:
        """Takes all roles in the project away from the user."""
        ...

    def rotate_credential(
        self,
        project_id: str,
        user_id: str,
        save: Save,
        old: str | None,
        proved: Proved | None = None,
    ) -> Credential:
        """Creates a credential, which `save` gets before, proves it by using it, and drops `old`.

        Between the proof and the end of `old` comes `proved`; what it raises keeps `old` alive.
        However often this is interrupted and repeated, there is one credential in the end.
        """
        ...

    def drop_credential(self, user_id: str, credential_id: str) -> None:
        """Deletes the credential, if it exists."""
        ...

    def list_regions(self) -> list[str]:
        """The names of the provider's regions at this address."""
        ...

    def delete_project(self, project_id: str) -> None:
        """Deletes the project, if it exists, and with it the grants in it."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
