"""Writes of one item: an update takes effect as a whole, and keys of indexes have their type.

moto keeps the actions that came before the one that failed, and lets a put give the key of an index
another type than the table defines.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

import copy
from collections.abc import Callable
from typing import Any

from moto.dynamodb.exceptions import InvalidAttributeTypeError
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from infra.local.patching import wrap_all


def install() -> None:
    wrap_all([(Table, "put_item", _typed), (DynamoDBBackend, "update_item", _atomic)])


def restore(
    table: Table, hash_key: DynamoType, range_key: DynamoType | None, before: Item | None
) -> None:
    """Undoes what was written since `before` was read; None: there was no item."""
    if before is None:
        table.delete_item(hash_key, range_key)
    else:
        table.put_item(before.to_json()["Attributes"], overwrite=True)


def _refuse_wrong_types(table: Table, attributes: dict[str, Any]) -> None:
    kinds = {definition["AttributeName"]: definition["AttributeType"] for definition in table.attr}
    for name in kinds.keys() & attributes.keys():
        actual = DynamoType(attributes[name]).type
        if actual != kinds[name]:
            raise InvalidAttributeTypeError(name, kinds[name], actual)


def _typed(moto: Callable[..., Item]) -> Callable[..., Item]:
    def put_item(table: Table, item_attrs: dict[str, Any], *args: Any, **named: Any) -> Item:
        _refuse_wrong_types(table, item_attrs)
        return moto(table, item_attrs, *args, **named)

    return put_item


def _atomic(moto: Callable[..., Item]) -> Callable[..., Item]:
    def update_item(
        backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *args: Any, **named: Any
    ) -> Item:
        table = backend.get_table(table_name)
        hash_key, range_key = backend.get_keys_value(table, key)
        before = copy.deepcopy(table.get_item(hash_key, range_key))
        try:
            item = moto(backend, table_name, key, *args, **named)
            _refuse_wrong_types(table, item.attrs)
        except Exception:
            restore(table, hash_key, range_key, before)
            raise
        return item

    return update_item
