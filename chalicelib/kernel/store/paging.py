"""Lists in pages, with an opaque cursor that is bound to its tenant and query.

A cursor is the key where the next page begins, sealed under a purpose that names tenant, list and
filters. A cursor that was forged, or issued for another tenant or query, does not open.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.kernel import signing
from chalicelib.kernel.errors import BadRequest
from chalicelib.kernel.store import records
from chalicelib.kernel.store.records import Record

#: A read with a filter may return too few rows for a page; then more reads follow, up to this
#: number, so that calls do not grow with the table. A page may thus be short and have a cursor.
MAX_READS = 4
#: Rows that one read with a filter examines.
FILTERED_ROWS = 500
#: Calls of one page, as routes declare them: a list in two parts needs one more.
MAX_CALLS = MAX_READS + 1

R = TypeVar("R", bound=Record)
PerPage = Annotated[int, msgspec.Meta(ge=1, le=100, description="a whole number from 1 to 100")]
#: The value of a text filter: longer ones exceed what a key may hold.
Filter = Annotated[
    str, msgspec.Meta(min_length=1, max_length=254, description="1 to 254 characters")
]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Query parameters that all lists have."""

    per_page: PerPage = 50
    cursor: str | None = None


class Listing(msgspec.Struct, Generic[R], frozen=True):
    """Records under one hash key of a table or index, in its order."""

    model: type[R]
    hash_key: str
    within: Condition | None = None  #: condition on the sort key
    index: str | None = None
    only: Condition | None = None  #: filter, applied to rows after they are read
    newest_first: bool = False


class Page(msgspec.Struct, Generic[R], frozen=True):
    """One page of a list."""

    items: list[R]
    per_page: int
    next_cursor: str | None

    @property
    def meta(self) -> dict[str, Any]:
        return {"per_page": self.per_page, "next_cursor": self.next_cursor}


class _Cursor(msgspec.Struct, frozen=True):
    part: int  #: number of the listing, from 0
    key: dict[str, Any] | None  #: last key that was read; None: the listing's beginning


def read(listings: Sequence[Listing[R]], query: PageQuery, tenant_id: str, name: str) -> Page[R]:
    """One page of the listings, which follow one another; without filters one call per listing.

    Raises BadRequest for a cursor of another tenant, list or filter, and for a forged one.
    """
    bound_to = _purpose(query, tenant_id, name)
    at = _open(query.cursor, bound_to)
    items: list[R] = []
    for _ in range(MAX_READS + len(listings) - 1):
        rows, at = _read_on(listings, at, query.per_page - len(items))
        items += rows
        if at.part == len(listings) or len(items) == query.per_page:
            break
    ended = at.part == len(listings)
    return Page(items, query.per_page, None if ended else _seal(at, bound_to))


def _read_on(listings: Sequence[Listing[R]], at: _Cursor, count: int) -> tuple[list[R], _Cursor]:
    listing = listings[at.part]
    limit = count + 1  # the extra row shows whether there are more
    if listing.only is not None:
        limit = max(limit, FILTERED_ROWS)
    rows, key = records.page(
        listing.model,
        listing.hash_key,
        listing.within,
        filter_condition=listing.only,
        index_name=listing.index,
        scan_index_forward=not listing.newest_first,
        last_evaluated_key=at.key,
        page_size=limit,
    )
    if len(rows) > count:
        rows = rows[:count]
        key = records.key_of(rows[-1], listing.index)
    return rows, _Cursor(at.part + 1, None) if key is None else _Cursor(at.part, key)


def _purpose(query: PageQuery, tenant_id: str, name: str) -> str:
    """What a cursor is bound to: tenant, list and filters, but not the page's size."""
    filters = msgspec.structs.asdict(query)
    del filters["cursor"], filters["per_page"]
    return msgspec.json.encode(["cursor", tenant_id, name, filters]).decode()


def _open(cursor: str | None, bound_to: str) -> _Cursor:
    if cursor is None:
        return _Cursor(0, None)
    payload = signing.open_seal(bound_to, cursor)
    if payload is None:
        raise BadRequest("This cursor was not issued for this list")
    return msgspec.json.decode(payload, type=_Cursor)


def _seal(at: _Cursor, bound_to: str) -> str:
    return signing.seal(bound_to, msgspec.json.encode(at))
