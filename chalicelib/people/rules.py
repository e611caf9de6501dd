"""The rules of people and invitations, without I/O."""

from typing import Literal

import msgspec

from chalicelib.kernel.auth.tenancy import Role
from chalicelib.kernel.text import folded

INVITATION_DAYS = 7
INVITATION_SECONDS = INVITATION_DAYS * 86_400
RESEND_SECONDS = 60  #: the least time between two invitations of one user

_LONGEST_KEY_BYTES = 1000

Status = Literal["invited", "active", "deactivated"]


class Invitation(msgspec.Struct, frozen=True):
    """The values of an invitation's texts."""

    name: str
    tenant_name: str
    link: str
    days: int


def email_key(email: str) -> str:
    """The key of an address. Addresses that differ only in case have the same key.

    Only the letters A to Z have two cases here: others may fold into them, as the Kelvin sign does
    into k, and one person's address would be another's.
    """
    return "".join(letter.lower() if letter.isascii() else letter for letter in email)


def name_key(name: str) -> str:
    """The key by which names are searched, without what people do not see as a difference.

    Folding can make a name three times as long, so the key is cut to what an index accepts.
    """
    return folded(name).encode()[:_LONGEST_KEY_BYTES].decode(errors="ignore")


def may_give(giver: Role, role: Role) -> bool:
    """Only an admin of the platform may make somebody an admin, or change an admin."""
    return role != "admin" or giver == "admin"
