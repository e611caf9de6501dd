"""Query without reading the whole table.

moto reads and sorts every item of the table for every query. Here a query is first narrowed down:
to the items of its partition, in order, after the start key, within the range condition and up to
the limit. moto's own query then runs over those few, so the answer is still moto's.
Callers hold the lock of corrections/dynamodb.py.
"""

import copy
import inspect
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import RESULT_SIZE_LIMIT, Table

from infra.local.patching import replace_all
from infra.local.speedups import sorted_index

#: Appended to a prefix, it sorts after every text that begins with the prefix.
AFTER_ALL_TEXT = "\U0010ffff"

_moto_query: Callable[..., Any] = Table.query
_moto_project: Callable[..., Item] = Item.project
_SIGNATURE = inspect.signature(_moto_query)


class Request(NamedTuple):
    """The parts of a query that narrow the items down."""

    index_name: str | None
    view: sorted_index.View
    hash_value: DynamoType
    comparison: str | None
    operands: list[DynamoType]
    limit: int | None
    start: dict[str, Any] | None
    forward: bool


def install() -> None:
    replace_all([(Table, "query", _query), (Item, "project", _project)])


class _Excerpt(Table):
    """A table that consists of some candidates, already in order."""

    candidates: list[Item]

    def all_items(self) -> list[Item]:
        return self.candidates

    def sorted_items(self, _: Any, __: Any, items: list[Item]) -> list[Item]:
        return items


def _query(table: Table, *args: Any, **named: Any) -> Any:
    request = _request(table, _SIGNATURE.bind(table, *args, **named).arguments)
    if request is not None:
        # The base class is abstract, for CloudFormation's sake, so it cannot be called.
        kind: Any = _Excerpt
        excerpt = object.__new__(kind)
        excerpt.__dict__ = table.__dict__ | {"candidates": _candidates(table, request)}
        table = excerpt
    return _moto_query(table, *args, **named)


def _request(table: Table, arguments: dict[str, Any]) -> Request | None:
    """None for a kind of query that this project does not use: it is left to moto."""
    view = sorted_index.views(table).get(arguments.get("index_name"))
    if arguments["hash_key"] is None or view is None or arguments.get("filter_kwargs"):
        return None
    return Request(
        index_name=arguments.get("index_name"),
        view=view,
        hash_value=arguments["hash_key"],
        comparison=arguments["range_comparison"],
        operands=arguments["range_objs"],
        limit=arguments["limit"],
        start=arguments["exclusive_start_key"],
        forward=arguments["scan_index_forward"],
    )


def _candidates(table: Table, request: Request) -> list[Item]:
    partition = sorted_index.of(table).partition(request.index_name, request.hash_value)
    first, last = _range(partition.keys, request)
    after = _start(request)
    if after is not None and request.forward:
        first = max(first, bisect_right(partition.keys, after))
    elif after is not None:
        last = min(last, bisect_left(partition.keys, after))
    # One item more than the limit shows moto that there is a next page.
    if request.forward:
        numbers = range(first, min(max(first, last) + 1, len(partition.keys)))
    else:
        numbers = range(min(len(partition.keys), last) - 1, max(first - 2, -1), -1)
    page = list(_page((partition.items[number] for number in numbers), request.limit))
    return page if request.forward else page[::-1]  # moto reverses them itself


def _equal(left: DynamoType, right: DynamoType) -> bool:
    return left.type == right.type and sorted_index.plain(left) == sorted_index.plain(right)


def _range(keys: list[sorted_index.Key], request: Request) -> tuple[int, int]:
    """Where the keys that meet the range condition begin and end; all keys without one."""
    operation = (request.comparison or "").upper()
    if operation not in ("=", "BETWEEN", "BEGINS_WITH", "<", "<=", ">", ">="):
        return 0, len(keys)
    values = [sorted_index.plain(operand) for operand in request.operands]
    low, high = values[0], values[-1]
    if operation == "BEGINS_WITH":
        high = low + AFTER_ALL_TEXT
    start = (bisect_right if operation == ">" else bisect_left)(keys, low, key=_first)
    end = (bisect_left if operation == "<" else bisect_right)(keys, high, key=_first)
    if operation in ("<", "<="):
        start = 0
    return start, len(keys) if operation in (">", ">=") else end


def _first(key: sorted_index.Key) -> Any:
    return key[0]


def _start(request: Request) -> sorted_index.Key | None:
    """The start key as a sort key; None without one, or when it is not of this partition."""
    start, view = request.start, request.view
    if not start or any(name not in start for name in (view.hash_name, *view.names)):
        return None
    if not _equal(DynamoType(start[view.hash_name]), request.hash_value):
        return None
    return tuple(sorted_index.plain(DynamoType(start[name])) for name in view.names)


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
    """Copies whole attributes directly; moto rebuilds the item for every one of them."""
    if any(len(path) > 1 or "[" in path[0] for path in projection_expressions):
        return _moto_project(item, projection_expressions)
    projected = object.__new__(Item)
    projected.hash_key, projected.range_key = item.hash_key, item.range_key
    projected.attrs = LimitedSizeDict()
    for (name,) in projection_expressions:
        if name in item.attrs:
            dict.__setitem__(projected.attrs, name, copy.deepcopy(item.attrs[name]))
    return projected
