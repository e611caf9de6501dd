"""What is true of people and invitations, whatever stores or sends them."""

from typing import Literal

import msgspec

from chalicelib.kernel.auth.tenancy import Role

INVITATION_DAYS = 7
INVITATION_SECONDS = INVITATION_DAYS * 86_400
RESEND_SECONDS = 60  #: between two invitations of one user

_LONGEST_KEY_BYTES = 1000

Status = Literal["invited", "active", "deactivated"]


class Invitation(msgspec.Struct, frozen=True):
    """What an invitation's texts say."""

    name: str
    tenant_name: str
    link: str
    days: int


def email_key(email: str) -> str:
    """One address, one user: addresses that differ only in case are the same."""
    return email.lower()


def name_key(name: str) -> str:
    """What a search by name compares: case and outer blanks do not matter.

    Folding can make a name three times as long; cut to what a key of an index may hold.
    """
    return name.strip().casefold().encode()[:_LONGEST_KEY_BYTES].decode(errors="ignore")


def may_give(giver: Role, given: Role) -> bool:
    """Only an admin of the platform makes another one, or changes one."""
    return given != "admin" or giver == "admin"
