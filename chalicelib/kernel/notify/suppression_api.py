"""The tenant's suppression list over HTTP: addresses that bounced or complained get no mail."""

import msgspec

from chalicelib.kernel.auth.tenancy import MANAGERS, Caller
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.http.fields import Email
from chalicelib.kernel.http.routes import Calls, Reply, Routes
from chalicelib.kernel.notify import limits
from chalicelib.kernel.store import paging
from chalicelib.kernel.store.paging import PageQuery
from chalicelib.kernel.store.write_set import WriteSet

routes = Routes()


class SuppressedView(msgspec.Struct, frozen=True):
    """An address that gets no more mail."""

    address: str
    reason: str
    since: str


class AddressQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The address to take off the list."""

    address: Email


@routes.get(
    "/admin/v1/suppressions",
    allow=MANAGERS,
    answers=SuppressedView,
    paginated=True,
    calls=Calls(dynamodb=paging.MAX_CALLS),
)
def list_suppressions(caller: Caller, query: PageQuery) -> Reply:
    """List the addresses that get no more mail."""
    listing = limits.suppressed_addresses(caller.tenant_id)
    page = paging.read([listing], query, caller.tenant_id, "suppressions")
    shown = [
        SuppressedView(limits.address_of(row), str(row.suppressed), str(row.suppressed_at))
        for row in page.items
    ]
    return Reply(shown, meta=page.meta)


@routes.delete(
    "/admin/v1/suppressions",
    allow=MANAGERS,
    answers=SuppressedView,
    errors=(404,),
    calls=Calls(dynamodb=1),
)
def remove_suppression(caller: Caller, query: AddressQuery) -> Reply:
    """Take an address off the list; the next mail to it is sent."""
    tx, unknown = WriteSet(), NotFound("This address is not on the suppression list")
    limits.unsuppress(tx, caller.tenant_id, "email", query.address, unknown)
    view = SuppressedView(query.address, "", "")
    return Reply(view, message="The address is off the list and gets mail again", commit=tx)
