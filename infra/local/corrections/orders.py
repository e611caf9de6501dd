"""The items of a table in order, by partition, for the table itself and for each of its indexes.

Built at a table's first query and kept by each write from then on, so that a query need not sort.
Callers hold the lock of DynamoDB.
"""

import copy
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, NamedTuple

from moto.dynamodb.exceptions import InvalidAttributeTypeError
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

Key = tuple[Any, ...]

_moto_put: Callable[..., Item] = Table.put_item
_moto_delete: Callable[..., Item | None] = Table.delete_item
_moto_update: Callable[..., Item] = DynamoDBBackend.update_item


class Order:
    """Two lists side by side: a bisection looks at keys only."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.items: list[Item] = []

    def insert(self, key: Key, item: Item) -> None:
        place = bisect_left(self.keys, key)
        self.keys.insert(place, key)
        self.items.insert(place, item)

    def remove(self, key: Key) -> None:
        place = bisect_left(self.keys, key)
        del self.keys[place], self.items[place]


class View(NamedTuple):
    """The table, or one index of it."""

    hash_name: str
    names: tuple[str, ...]  #: attributes that order a partition, the last ones tell items apart


class Orders:
    def __init__(self, table: Table) -> None:
        self.views = views(table)
        self._partitions: dict[tuple[str | None, Any], Order] = {}
        self._places: dict[Key, list[tuple[Order, Key]]] = {}
        for partition in table.items.values():
            for item in partition.values():
                self._add(item)

    def partition(self, view: str | None, hash_value: DynamoType) -> Order:
        return self._partitions.get((view, _identity(hash_value)), Order())

    def refresh(self, table: Table, hash_key: DynamoType, range_key: DynamoType) -> None:
        """The item was written, or is gone."""
        for order, key in self._places.pop((plain(hash_key), plain(range_key)), ()):
            order.remove(key)
        item = table.get_item(hash_key, range_key)
        if item is not None:
            self._add(item)

    def _add(self, item: Item) -> None:
        name = (plain(item.hash_key), plain(item.range_key)) if item.range_key else ()
        places = self._places[name] = []
        for index_name, view in self.views.items():
            if view.hash_name not in item.attrs or view.names[0] not in item.attrs:
                continue
            where = (index_name, _identity(item.attrs[view.hash_name]))
            order = self._partitions.setdefault(where, Order())
            key = tuple(plain(item.attrs[attribute]) for attribute in view.names)
            order.insert(key, item)
            places.append((order, key))


def install() -> None:
    replacements: list[tuple[type, str, Callable[..., Any]]] = [
        (Table, "put_item", _put_item),
        (Table, "delete_item", _delete_item),
        (DynamoDBBackend, "update_item", _update_item),
    ]
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)


def of(table: Table) -> Orders:
    orders: Orders | None = table.__dict__.get("orders")
    if orders is None or orders.views.keys() != views(table).keys():
        orders = table.__dict__["orders"] = Orders(table)
    return orders


def forget(table: Table) -> None:
    table.__dict__.pop("orders", None)


def refresh(table: Table, hash_key: DynamoType, range_key: DynamoType | None) -> None:
    orders: Orders | None = table.__dict__.get("orders")
    if orders is not None and range_key is not None:
        orders.refresh(table, hash_key, range_key)


def views(table: Table) -> dict[str | None, View]:
    """None is the table itself. Indexes without a range key of their own are left to moto."""
    hash_name, range_name = table.hash_key_attr, table.range_key_attr
    if range_name is None:
        return {}
    found: dict[str | None, View] = {None: View(hash_name, (range_name,))}
    for index in table.global_indexes:
        names = {key["KeyType"]: key["AttributeName"] for key in index.schema}
        if "RANGE" in names and len(names) == len(index.schema):
            found[index.name] = View(names["HASH"], (names["RANGE"], hash_name, range_name))
    return found


def plain(value: DynamoType) -> Any:
    """What sorts, and tells apart, as DynamoDB does."""
    return value.value if value.type == "S" else value.cast_value


def put_back(
    table: Table, hash_key: DynamoType, range_key: DynamoType | None, item: Item | None
) -> None:
    """As if the item had never been written."""
    if item is None:
        _moto_delete(table, hash_key, range_key)
    elif range_key is not None:
        table.items[hash_key][range_key] = item
    else:
        table.items[hash_key] = item  # type: ignore[assignment]  # as moto does
    refresh(table, hash_key, range_key)


def _identity(value: DynamoType) -> Key:
    return value.type, plain(value)


def _refuse_wrong_types(table: Table, attributes: dict[str, Any]) -> None:
    """As AWS does for the keys of indexes, without which nothing could be put in order."""
    kinds = {definition["AttributeName"]: definition["AttributeType"] for definition in table.attr}
    for name in kinds.keys() & attributes.keys():
        actual = DynamoType(attributes[name]).type
        if actual != kinds[name]:
            raise InvalidAttributeTypeError(name, kinds[name], actual)


def _put_item(table: Table, item_attrs: dict[str, Any], *args: Any, **named: Any) -> Item:
    _refuse_wrong_types(table, item_attrs)
    item = _moto_put(table, item_attrs, *args, **named)
    refresh(table, item.hash_key, item.range_key)
    return item


def _delete_item(table: Table, hash_key: DynamoType, range_key: DynamoType | None) -> Item | None:
    item = _moto_delete(table, hash_key, range_key)
    refresh(table, hash_key, range_key)
    return item


def _update_item(
    backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *args: Any, **named: Any
) -> Item:
    """All of the update or nothing: moto leaves the half that came before a fault."""
    table = backend.get_table(table_name)
    hash_key, range_key = backend.get_keys_value(table, key)
    before = copy.deepcopy(table.get_item(hash_key, range_key))
    try:
        item = _moto_update(backend, table_name, key, *args, **named)
        _refuse_wrong_types(table, item.attrs)
    except Exception:
        put_back(table, hash_key, range_key, before)
        raise
    refresh(table, hash_key, range_key)
    return item
