"""The records of sockets, all of which belong to a caller.

tenant      sk                                    record
#tickets    <digest of the ticket>                Ticket    used once, by a conditional delete
#sockets    <connection>                          Socket    its owner and its topics
<tenant>    socket#<topic>#<connection>           Follower  read by a push
"""

from typing import Any, cast

import msgspec
from pynamodb.attributes import UnicodeAttribute, UnicodeSetAttribute

from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.store.records import KernelRecord

TICKETS, SOCKETS = "#tickets", "#sockets"  #: partitions; no tenant id begins with '#'


class Owned(KernelRecord):
    """Base of the records that belong to a caller."""

    owner = UnicodeAttribute()  #: the tenant's id
    subject = UnicodeAttribute(default="")  #: empty in rows of an earlier release
    role = UnicodeAttribute(default="customer")
    email = UnicodeAttribute(default="")
    home = UnicodeAttribute(default="")
    user_id = UnicodeAttribute(default="")
    claimed_id = UnicodeAttribute(default="")

    @property
    def caller(self) -> Caller:
        return Caller(
            subject=self.subject,
            role=cast("Role", self.role),
            tenant_id=self.owner,
            email=self.email,
            home=self.home,
            user_id=self.user_id,
            claimed_id=self.claimed_id,
        )


class Ticket(Owned):
    """Whose connection a ticket opens; `expires_at` is when the ticket expires."""


class Socket(Owned):
    """A connection."""

    topics = UnicodeSetAttribute(null=True)


class Follower(Owned):
    """A connection that follows a topic of this tenant's."""

    connection_id = UnicodeAttribute()


def values_of(caller: Caller) -> dict[str, Any]:
    """The attributes of a record that belongs to this caller."""
    values: dict[str, Any] = msgspec.structs.asdict(caller)
    return {"owner": values.pop("tenant_id"), **values}
