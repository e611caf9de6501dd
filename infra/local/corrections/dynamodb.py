"""DynamoDB: one request at a time, so that each is atomic, and transactions that are."""

import threading
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.responses import DynamoHandler

from infra.local.corrections import orders, transactions

MAX_BATCH_WRITES = 25

#: Held while a request is executed. Whoever looks into moto's tables directly takes it too.
lock = threading.RLock()
_tokens = transactions.Tokens()


def install() -> None:
    handler: dict[str, Callable[..., Any]] = {
        "call_action": _one_at_a_time(DynamoHandler.call_action),
        "transact_write_items": _with_token(DynamoHandler.transact_write_items),
        "batch_write_item": _at_most_25(DynamoHandler.batch_write_item),
    }
    for name, replacement in handler.items():
        setattr(DynamoHandler, name, replacement)
    backend: dict[str, Callable[..., Any]] = {
        "transact_write_items": transactions.transact_write_items,
    }
    for name, replacement in backend.items():
        setattr(DynamoDBBackend, name, replacement)


def empty_all() -> None:
    """No items left in any table, the tables stay."""
    with lock:
        _tokens.clear()
        for account in list(dynamodb_backends.values()):
            for backend in list(account.values()):
                for table in backend.tables.values():
                    table.items.clear()
                    orders.forget(table)


def _one_at_a_time(moto: Callable[..., Any]) -> Callable[..., Any]:
    def call_action(handler: DynamoHandler) -> Any:
        with lock:
            return moto(handler)

    return call_action


def _with_token(moto: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    def transact_write_items(handler: DynamoHandler) -> ActionResult:
        token, items = handler.body.get("ClientRequestToken"), handler.body["TransactItems"]
        backend = handler.dynamodb_backend
        if not token:
            return moto(handler)
        if _tokens.is_replay(backend, token, items):
            return ActionResult({"ConsumedCapacity": [], "ItemCollectionMetrics": {}})
        result = moto(handler)
        _tokens.remember(backend, token, items)
        return result

    return transact_write_items


def _at_most_25(moto: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    def batch_write_item(handler: DynamoHandler) -> ActionResult:
        writes = sum(len(requests) for requests in handler.body["RequestItems"].values())
        if writes > MAX_BATCH_WRITES:
            raise MockValidationException(
                "1 validation error detected: Value at 'requestItems' failed to satisfy "
                "constraint: Member must have length less than or equal to 25"
            )
        return moto(handler)

    return batch_write_item
