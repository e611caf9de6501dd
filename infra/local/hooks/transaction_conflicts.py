"""DynamoDB's refusals of what meets a transaction, while the fault `conflicts` is on.

A transaction is cancelled, with a reason for each of its actions. A plain write and a statement of
a batch fail by themselves; a request of BatchWriteItem comes back as unprocessed. A transaction
that is repeated under its token after it succeeded meets nothing. The SDK does not repeat any of
this by itself.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import TransactionCanceledException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from infra.local import conflicts
from infra.local.conflicts import Key
from infra.local.corrections import dynamodb
from infra.local.corrections.transactions import Reason, TransactionConflict
from infra.local.patching import wrap_all

_CONFLICT: Reason = ("TransactionConflict", TransactionConflict.text, None)
_NONE: Reason = (None, None, None)


class _Current(threading.local):
    """The call that this thread carries out."""

    operation = "unknown"  #: while a call is under way that began before the fault was added


_current = _Current()


def install() -> None:
    """After corrections/dynamodb.py: a transaction holds its items before it has the lock."""
    wrap_all(
        [
            (DynamoHandler, "call_action", _taking_time),
            (DynamoHandler, "batch_write_item", _partly),
            (DynamoHandler, "transact_get_items", _reading),
            (DynamoDBBackend, "transact_write_items", _cancelling),
            (DynamoDBBackend, "update_item", _updating),
            (DynamoDBBackend, "delete_item", _updating),
            (Table, "put_item", _putting),
            (Table, "delete_item", _deleting),
        ]
    )


def keys_of(backend: DynamoDBBackend, operation: str, body: dict[str, Any]) -> list[Key]:
    """The items that a request holds if it is carried out, in the order of its actions."""
    if operation != "TransactWriteItems":
        return []
    if dynamodb.is_known(backend, body.get("ClientRequestToken", "")):
        return []
    return _named(backend, body["TransactItems"])


@contextmanager
def holding(keys: Collection[Key]) -> Iterator[bool]:
    """Holds the items meanwhile; yields False if a transaction holds one of them already."""
    with dynamodb.lock:
        holds = conflicts.hold(keys)
    try:
        yield holds
    finally:
        if holds:
            with dynamodb.lock:
                conflicts.release(keys)


def _named(backend: DynamoDBBackend, actions: Iterable[dict[str, Any]]) -> list[Key]:
    """The key of every action; none at all for a bad request, which moto refuses afterwards."""
    details = [detail for action in actions for detail in action.values()]
    try:
        return [
            _key(backend.get_table(detail["TableName"]), detail.get("Key") or detail["Item"])
            for detail in details
        ]
    except (KeyError, JsonRESTError):
        return []


def _key(table: Table, attributes: dict[str, Any]) -> Key:
    return (table.name, *(str(attributes[name]) for name in table.table_key_attrs))


def _taking_time(moto: Callable[..., Any]) -> Callable[..., Any]:
    def call_action(handler: DynamoHandler) -> Any:
        if not conflicts.is_on():
            return moto(handler)
        _current.operation = handler._get_action()
        keys = keys_of(handler.dynamodb_backend, _current.operation, handler.params)
        with holding(keys) as holds:
            if holds:
                time.sleep(conflicts.hold_seconds())
            return moto(handler)

    return call_action


def _refuse(keys: Iterable[Key]) -> None:
    """Cancels a transaction if another one holds an item that it names."""
    reasons = [_CONFLICT if conflicts.is_held(key) else _NONE for key in keys]
    if _CONFLICT in reasons:
        conflicts.count(_current.operation)
        raise TransactionCanceledException(reasons)


def _cancelling(moto: Callable[..., None]) -> Callable[..., None]:
    def transact_write_items(backend: DynamoDBBackend, actions: list[dict[str, Any]]) -> None:
        if conflicts.is_on():
            _refuse(_named(backend, actions))
        moto(backend, actions)

    return transact_write_items


def _reading(moto: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    def transact_get_items(handler: DynamoHandler) -> ActionResult:
        if conflicts.is_on():
            _refuse(_named(handler.dynamodb_backend, handler.body["TransactItems"]))
        return moto(handler)

    return transact_get_items


def _refuse_write(table: Table, attributes: dict[str, Any]) -> None:
    if is_held(table, attributes):
        conflicts.count(_current.operation)
        raise TransactionConflict


def is_held(table: Table, attributes: dict[str, Any]) -> bool:
    """True while another thread's transaction holds the item with these attributes.

    False without the fault, and for attributes without a whole key, which moto refuses.
    """
    if not conflicts.is_on() or any(name not in attributes for name in table.table_key_attrs):
        return False
    return conflicts.is_held(_key(table, attributes))


def _updating(moto: Callable[..., Any]) -> Callable[..., Any]:
    def write(
        backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *args: Any, **named: Any
    ) -> Any:
        _refuse_write(backend.get_table(table_name), key)
        return moto(backend, table_name, key, *args, **named)

    return write


def _putting(moto: Callable[..., Item]) -> Callable[..., Item]:
    """Also for statements, which moto carries out by putting and deleting items."""

    def put_item(table: Table, item_attrs: dict[str, Any], *args: Any, **named: Any) -> Item:
        _refuse_write(table, item_attrs)
        return moto(table, item_attrs, *args, **named)

    return put_item


def _deleting(moto: Callable[..., Item | None]) -> Callable[..., Item | None]:
    def delete_item(
        table: Table, hash_key: DynamoType, range_key: DynamoType | None
    ) -> Item | None:
        values = [each.to_json() for each in (hash_key, range_key) if each is not None]
        _refuse_write(table, dict(zip(table.table_key_attrs, values, strict=True)))
        return moto(table, hash_key, range_key)

    return delete_item


def _partly(moto: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    def batch_write_item(handler: DynamoHandler) -> ActionResult:
        if not conflicts.is_on():
            return moto(handler)
        wanted: dict[str, list[dict[str, Any]]] = handler.body["RequestItems"]
        refused = {name: _meeting(handler, name, requests) for name, requests in wanted.items()}
        rest = {
            name: [each for each in requests if each not in refused[name]]
            for name, requests in wanted.items()
        }
        handler.body = {**handler.body, "RequestItems": rest}
        written: Any = moto(handler).result
        unprocessed = {name: each for name, each in refused.items() if each}
        return ActionResult({**written, "UnprocessedItems": unprocessed})

    return batch_write_item


def _meeting(
    handler: DynamoHandler, table_name: str, requests: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The requests of a batch that meet a transaction."""
    table = handler.dynamodb_backend.get_table(table_name)
    met = [
        request
        for request in requests
        for detail in request.values()
        if is_held(table, detail.get("Key") or detail["Item"])
    ]
    for _ in met:
        conflicts.count(_current.operation)
    return met
