"""The items of a table sorted by key, for the table itself and for each of its indexes.

moto sorts all items of a table for every query. Here they are sorted at the table's first query,
and every write from then on keeps the order. Callers hold the lock of corrections/dynamodb.py.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, NamedTuple

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from infra.local.patching import wrap_all

Key = tuple[Any, ...]


class Partition:
    """Items sorted by key, the keys in a list of their own for the bisection."""

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
    names: tuple[str, ...]  #: attributes to sort by; the last ones make every item's key unique


class SortedIndex:
    """The partitions of a table and of its indexes, each sorted."""

    def __init__(self, table: Table) -> None:
        self.views = views(table)
        self._partitions: dict[tuple[str | None, Any], Partition] = {}
        self._places: dict[Key, list[tuple[Partition, Key]]] = {}
        for partition in table.items.values():
            for item in partition.values():
                self._add(item)

    def partition(self, view: str | None, hash_value: DynamoType) -> Partition:
        return self._partitions.get((view, _identity(hash_value)), Partition())

    def refresh(self, table: Table, hash_key: DynamoType, range_key: DynamoType) -> None:
        """Moves the item to its place after a write, or takes it out after a delete."""
        for partition, key in self._places.pop((plain(hash_key), plain(range_key)), ()):
            partition.remove(key)
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
            partition = self._partitions.setdefault(where, Partition())
            key = tuple(plain(item.attrs[attribute]) for attribute in view.names)
            partition.insert(key, item)
            places.append((partition, key))


def install() -> None:
    wrap_all(
        [
            (Table, "put_item", _refreshing_put),
            (Table, "delete_item", _refreshing_delete),
            (DynamoDBBackend, "update_item", _refreshing_update),
        ]
    )


def of(table: Table) -> SortedIndex:
    """The table's index; built if it does not exist yet, or again when indexes were added."""
    index: SortedIndex | None = table.__dict__.get("sorted_index")
    if index is None or index.views.keys() != views(table).keys():
        index = table.__dict__["sorted_index"] = SortedIndex(table)
    return index


def forget(table: Table) -> None:
    """For whoever changes a table's items directly: the next query builds the index again."""
    table.__dict__.pop("sorted_index", None)


def refresh(table: Table, hash_key: DynamoType, range_key: DynamoType | None) -> None:
    index: SortedIndex | None = table.__dict__.get("sorted_index")
    if index is not None and range_key is not None:
        index.refresh(table, hash_key, range_key)


def views(table: Table) -> dict[str | None, View]:
    """By name, None for the table itself. An index without a range key is left to moto."""
    hash_name, range_name = table.hash_key_attr, table.range_key_attr
    if range_name is None:
        return {}
    by_name: dict[str | None, View] = {None: View(hash_name, (range_name,))}
    for index in table.global_indexes:
        names = {key["KeyType"]: key["AttributeName"] for key in index.schema}
        if "RANGE" in names and len(names) == len(index.schema):
            by_name[index.name] = View(names["HASH"], (names["RANGE"], hash_name, range_name))
    return by_name


def plain(value: DynamoType) -> Any:
    """A value that compares as DynamoDB compares the attribute."""
    return value.value if value.type == "S" else value.cast_value


def _identity(value: DynamoType) -> Key:
    return value.type, plain(value)


def _refreshing_put(moto: Callable[..., Item]) -> Callable[..., Item]:
    def put_item(table: Table, *args: Any, **named: Any) -> Item:
        item = moto(table, *args, **named)
        refresh(table, item.hash_key, item.range_key)
        return item

    return put_item


def _refreshing_delete(moto: Callable[..., Item | None]) -> Callable[..., Item | None]:
    def delete_item(
        table: Table, hash_key: DynamoType, range_key: DynamoType | None
    ) -> Item | None:
        item = moto(table, hash_key, range_key)
        refresh(table, hash_key, range_key)
        return item

    return delete_item


def _refreshing_update(moto: Callable[..., Item]) -> Callable[..., Item]:
    def update_item(
        backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *args: Any, **named: Any
    ) -> Item:
        table = backend.get_table(table_name)
        hash_key, range_key = backend.get_keys_value(table, key)
        try:
            return moto(backend, table_name, key, *args, **named)
        finally:  # after a failure too: whatever it left is what a query has to find
            refresh(table, hash_key, range_key)

    return update_item
