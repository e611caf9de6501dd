"""The forms of what providers answer, as far as we read it.

An answer of another form is refused as a whole. Members that are not named here are not looked at.
"""

from typing import Annotated

import msgspec

#: An id of the provider, which may stand in a path and in our rows.
Id = Annotated[str, msgspec.Meta(pattern=r"^(?!\.+\Z)[A-Za-z0-9_.-]{1,64}\Z")]


class Named(msgspec.Struct, frozen=True):
    """A user or a role, as Keystone lists it; of other members nothing is read."""

    id: Id
    name: str


class TaggedProject(msgspec.Struct, frozen=True):
    """A project as Keystone lists it."""

    id: Id
    name: str
    enabled: bool = True
    tags: tuple[str, ...] = ()


class Domain(msgspec.Struct, frozen=True):
    id: Id


class OwnProject(msgspec.Struct, frozen=True):
    """A project in which our account has a role."""

    id: Id
    name: str
    domain_id: str


class Reference(msgspec.Struct, frozen=True):
    """What another record names."""

    id: str = ""


class RoleReference(msgspec.Struct, frozen=True):
    id: Id
    name: str = ""


class UserReference(msgspec.Struct, frozen=True):
    id: Id


class GrantScope(msgspec.Struct, frozen=True):
    project: Reference | None = None


class Grant(msgspec.Struct, frozen=True):
    """A role of a user, or of a group, somewhere."""

    role: RoleReference
    scope: GrantScope = GrantScope()
    user: UserReference | None = None


class Token(msgspec.Struct, frozen=True):
    """Whom a token is for."""

    project: Reference = Reference()
    user: Reference = Reference()


class StoredCredential(msgspec.Struct, frozen=True):
    blob: str
    user_id: str = ""
    project_id: str | None = None


class RegionRow(msgspec.Struct, frozen=True):
    id: str
