"""Query without walking the whole table.

moto walks and sorts every item of the table for each query. Here the items that can matter are
found first: those of the partition, in order, after the start key, within the range condition, up
to the limit. moto's own query then runs over these few, so what it answers stays moto's.
Callers hold the lock of DynamoDB.
"""

import copy
import inspect
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import RESULT_SIZE_LIMIT, Table

from infra.local.corrections import orders

#: Sorts after every text that goes on from a prefix.
AFTER_ALL_TEXT = "\U0010ffff"

_moto_query: Callable[..., Any] = Table.query
_moto_project: Callable[..., Item] = Item.project
_SIGNATURE = inspect.signature(_moto_query)


class Request(NamedTuple):
    """What a query asks for, as far as it narrows the items down."""

    index_name: str | None
    view: orders.View
    hash_value: DynamoType
    comparison: str | None
    operands: list[DynamoType]
    limit: int | None
    start: dict[str, Any] | None
    forward: bool


def install() -> None:
    replacements: list[tuple[type, str, Callable[..., Any]]] = [
        (Table, "query", _query),
        (Item, "project", _project),
    ]
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)


class _Part(Table):
    """A table of which only some items are looked at."""

    candidates: list[Item]

    def all_items(self) -> list[Item]:
        return self.candidates

    def sorted_items(self, _: Any, __: Any, items: list[Item]) -> list[Item]:
        return items  # they come in order


def _query(table: Table, *args: Any, **named: Any) -> Any:
    given = _SIGNATURE.bind(table, *args, **named).arguments
    request = _request(table, given)
    if request is not None:
        kind: Any = _Part  # moto's abstract base asks for CloudFormation, which a part is not for
        part = object.__new__(kind)
        part.__dict__ = table.__dict__ | {"candidates": _candidates(table, request)}
        table = part
    return _moto_query(table, *args, **named)


def _request(table: Table, given: dict[str, Any]) -> Request | None:
    """None for a query of a kind that this project does not make: moto does it in its own way."""
    view = orders.views(table).get(given.get("index_name"))
    if given["hash_key"] is None or view is None or given.get("filter_kwargs"):
        return None
    return Request(
        index_name=given.get("index_name"),
        view=view,
        hash_value=given["hash_key"],
        comparison=given["range_comparison"],
        operands=given["range_objs"],
        limit=given["limit"],
        start=given["exclusive_start_key"],
        forward=given["scan_index_forward"],
    )


def _candidates(table: Table, request: Request) -> list[Item]:
    order = orders.of(table).partition(request.index_name, request.hash_value)
    first, last = _range(order.keys, request)
    after = _start(request)
    if after is not None and request.forward:
        first = max(first, bisect_right(order.keys, after))
    elif after is not None:
        last = min(last, bisect_left(order.keys, after))
    # One more than asked for: by it moto sees that there is a next page.
    if request.forward:
        numbers = range(first, min(max(first, last) + 1, len(order.keys)))
    else:
        numbers = range(min(len(order.keys), last) - 1, max(first - 2, -1), -1)
    page = list(_page((order.items[number] for number in numbers), request.limit))
    return page if request.forward else page[::-1]  # moto turns them round by itself


def _is(value: DynamoType, wanted: DynamoType) -> bool:
    return value.type == wanted.type and orders.plain(value) == orders.plain(wanted)


def _range(keys: list[orders.Key], request: Request) -> tuple[int, int]:
    """The run of keys that the range condition lets through; all where it cannot be told."""
    operation = (request.comparison or "").upper()
    if operation not in ("=", "BETWEEN", "BEGINS_WITH", "<", "<=", ">", ">="):
        return 0, len(keys)
    values = [orders.plain(operand) for operand in request.operands]
    low, high = values[0], values[-1]
    if operation == "BEGINS_WITH":
        high = low + AFTER_ALL_TEXT
    start = (bisect_right if operation == ">" else bisect_left)(keys, low, key=_head)
    end = (bisect_left if operation == "<" else bisect_right)(keys, high, key=_head)
    if operation in ("<", "<="):
        start = 0
    return start, len(keys) if operation in (">", ">=") else end


def _head(key: orders.Key) -> Any:
    return key[0]


def _start(request: Request) -> orders.Key | None:
    """The start key as a place in the order; None when there is none, or a foreign one."""
    start, view = request.start, request.view
    if not start or any(name not in start for name in (view.hash_name, *view.names)):
        return None
    if not _is(DynamoType(start[view.hash_name]), request.hash_value):
        return None
    return tuple(orders.plain(DynamoType(start[name])) for name in view.names)


def _page(items: Iterable[Item], limit: int | None) -> Iterator[Item]:
    if limit:
        yield from islice(items, limit + 1)
        return
    size = 0
    for item in items:
        yield item
        size += item.size()
        if size > RESULT_SIZE_LIMIT:
            return


def _project(item: Item, projection_expressions: list[list[str]]) -> Item:
    """Whole attributes are taken over as they are; moto turns the item inside out for each one."""
    if any(len(path) > 1 or "[" in path[0] for path in projection_expressions):
        return _moto_project(item, projection_expressions)
    part = object.__new__(Item)
    part.hash_key, part.range_key = item.hash_key, item.range_key
    part.attrs = LimitedSizeDict()
    for (name,) in projection_expressions:
        if name in item.attrs:
            dict.__setitem__(part.attrs, name, copy.deepcopy(item.attrs[name]))
    return part
