"""Lists in pages: an opaque cursor that is bound to its tenant and query.

A cursor is the key to read on from, sealed under a purpose that names tenant, list and filters.
One that was forged, or made for another tenant or another query, does not open.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.kernel import signing
from chalicelib.kernel.errors import BadRequest
from chalicelib.kernel.store import records
from chalicelib.kernel.store.records import Record

#: A filter may leave a page short, so it reads on, but at most this often: the number of calls is
#: bounded whatever the size of the table. The page is then short and has a cursor.
MOST_READS = 4
#: Rows that one read with a filter looks at.
FILTERED_ROWS = 500
#: The most calls of one page, as routes declare it: one more for a list in two parts.
MOST_CALLS = MOST_READS + 1

R = TypeVar("R", bound=Record)
PerPage = Annotated[int, msgspec.Meta(ge=1, le=100, description="a whole number from 1 to 100")]


#: Values of text filters: a longer one could not be a key.
Filter = Annotated[
    str, msgspec.Meta(min_length=1, max_length=254, description="1 to 254 characters")
]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Query parameters of every list."""

    per_page: PerPage = 50
    cursor: str | None = None


class Listing(msgspec.Struct, Generic[R], frozen=True):
    """Records under one key of a table or index, in its order; `only` filters what was read."""

    model: type[R]
    hash_key: str
    within: Condition | None = None
    index: str | None = None
    only: Condition | None = None
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
    part: int  #: which of the listings
    key: dict[str, Any] | None


def read(listings: Sequence[Listing[R]], query: PageQuery, tenant_id: str, name: str) -> Page[R]:
    """One page of the listings, one after another. Without filters it is one call for each.

    Raises BadRequest for a cursor of another tenant, list or filter, or of another maker.
    """
    bound_to = _purpose(query, tenant_id, name)
    at = _open(query.cursor, bound_to)
    found: list[R] = []
    for _ in range(MOST_READS + len(listings) - 1):
        rows, at = _read_on(listings, at, query.per_page - len(found))
        found += rows
        if at.part == len(listings) or len(found) == query.per_page:
            break
    ended = at.part == len(listings)
    return Page(found, query.per_page, None if ended else _seal(at, bound_to))


def _read_on(listings: Sequence[Listing[R]], at: _Cursor, wanted: int) -> tuple[list[R], _Cursor]:
    listing = listings[at.part]
    limit = wanted + 1  # the one beyond tells whether there is more
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
    if len(rows) > wanted:
        rows = rows[:wanted]
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
        raise BadRequest("This cursor is not one that this list gave out")
    return msgspec.json.decode(payload, type=_Cursor)


def _seal(at: _Cursor, bound_to: str) -> str:
    return signing.seal(bound_to, msgspec.json.encode(at))
