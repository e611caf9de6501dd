"""What a provider of clouds must be able to do, and the two ways in which it says no."""

from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, Self

import msgspec

#: Of a user in one project. Each provider has words of its own for them.
Role = Literal["admin", "member", "reader"]


class Region(msgspec.Struct, frozen=True):
    """Where and as whom we speak to a provider. One region is one address."""

    provider: str
    name: str
    address: str
    account: str  #: a domain, or "domain/project" where the log-in is for a project of it
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


#: Keeps a credential that is about to be made. It may answer with another one, which is made in its
#: place: that of an attempt that was broken off, or is still at it.
Save = Callable[[Credential], Credential | None]


class Refused(Exception):
    """The provider will never do this; the argument is a reason that a person can act on."""


class Busy(Exception):
    """Not now: a limit was met. The same call may succeed in `after_seconds`."""

    def __init__(self, reason: str, *, after_seconds: int = 1) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Down(Busy):
    """Not now, and not for the other users either: no answer, or one that tells of an outage.

    The call may have been carried out; made again it does no harm.
    """


class Provider(Protocol):
    """One connection: one log-in, whose token serves every call.

    All calls may raise Refused, Busy and Down. None of their texts holds a secret.
    """

    @property
    def calls(self) -> int:
        """Requests made so far, log-ins apart."""
        ...

    @property
    def logins(self) -> int:
        """Log-ins made so far."""
        ...

    def ensure_project(self, key: str, name: str, *, enabled: bool = True) -> str:
        """The provider's id of our project `key`, which then exists under this name."""
        ...

    def find_project(self, key: str) -> str | None:
        """The provider's id of our project `key`; None when it is not there."""
        ...

    def ensure_user(self, key: str, email: str, name: str) -> CloudUser:
        """The provider's user for our person `key`, in all projects the same one."""
        ...

    def ensure_grant(self, project_id: str, user_id: str, role: Role) -> None:
        """The user has this role in the project, and no other of ours."""
        ...

    def revoke_grant(self, project_id: str, user_id: str) -> None:
        """The user has no role in the project."""
        ...

    def rotate_credential(
        self,
        project_id: str,
        user_id: str,
        save: Save,
        old: str | None,
    ) -> Credential:
        """A new credential, handed to `save` before it is made, and proved by use; only then the
        old one goes. However often it is broken off and made again, one is left in the end.
        """
        ...

    def drop_credential(self, user_id: str, credential_id: str) -> None:
        """The credential is gone."""
        ...

    def list_regions(self) -> list[str]:
        """The regions that the provider names at this address."""
        ...

    def delete_project(self, project_id: str) -> None:
        """The project is gone, and with it the grants in it."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
