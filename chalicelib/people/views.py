"""The bodies, queries and answers of the API of people."""

from typing import Annotated, Any, cast

import msgspec

from chalicelib.kernel.auth.tenancy import Role
from chalicelib.kernel.http.fields import Email, Name, Phone
from chalicelib.kernel.store.paging import Filter, PageQuery
from chalicelib.people.models import Person
from chalicelib.people.rules import Status

TokenText = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to create and invite."""

    name: Name
    email: Email
    role: Role
    phone: Phone | None = None
    send_email: bool = True
    send_sms: bool = True


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """New values of a user; members that are left out stay as they are."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    email: Email | msgspec.UnsetType = msgspec.UNSET
    phone: Phone | msgspec.UnsetType | None = msgspec.UNSET
    role: Role | msgspec.UnsetType = msgspec.UNSET


class UsersQuery(PageQuery, frozen=True, kw_only=True):
    """Filters of the list of users."""

    search: Filter | None = None
    status: Status | None = None
    role: Role | None = None


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user."""

    id: str
    name: str
    email: str
    phone: str | None
    role: Role
    status: Status
    created_at: str


class UserCreated(msgspec.Struct, frozen=True, kw_only=True):
    """A new user, and which messages are queued."""

    user: UserView
    email_invitation_queued: bool
    sms_invitation_queued: bool
    invitation_expires_at: str


class Acceptable(msgspec.Struct, frozen=True, kw_only=True):
    """The token of an invitation."""

    token: TokenText


class AcceptQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The link's query string. The token is optional: a page answers a mangled link too."""

    token: str = ""


def user_view(person: Person, **other: Any) -> UserView:
    return UserView(
        id=person.id,
        name=person.name,
        email=person.email,
        phone=person.phone,
        role=cast("Any", person.role),
        status=other.get("status", person.status),
        created_at=person.created_at,
    )
