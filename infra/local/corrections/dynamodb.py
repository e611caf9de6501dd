"""DynamoDB: requests one at a time, transactions with their tokens, batches within their limit.

moto runs the requests of several threads at once and so interleaves them, executes a transaction
again when it is repeated under the same ClientRequestToken, and writes batches of any size.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html
"""

import threading
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from infra.local.corrections import transactions
from infra.local.patching import replace_all, wrap_all

MAX_BATCH_WRITES = 25

#: Held while a request is executed; to be taken by whoever reads moto's tables directly.
lock = threading.RLock()
_tokens = transactions.Tokens()


def install() -> None:
    wrap_all(
        [
            (DynamoHandler, "call_action", _one_at_a_time),
            (DynamoHandler, "transact_write_items", _idempotent),
            (DynamoHandler, "batch_write_item", _limited),
        ]
    )
    replace_all([(DynamoDBBackend, "transact_write_items", transactions.transact_write_items)])


def is_known(backend: DynamoDBBackend, token: str) -> bool:
    """True for the token of a transaction that succeeded in the last ten minutes."""
    return _tokens.is_known(backend, token)


def empty_all() -> list[Table]:
    """Deletes all items of all tables, and returns the tables."""
    with lock:
        _tokens.clear()
        emptied = tables()
        for table in emptied:
            table.items.clear()
        return emptied


def tables() -> list[Table]:
    """All tables of all accounts. Callers hold the lock."""
    return [
        table
        for account in list(dynamodb_backends.values())
        for backend in list(account.values())
        for table in backend.tables.values()
    ]


def _one_at_a_time(moto: Callable[..., Any]) -> Callable[..., Any]:
    def call_action(handler: DynamoHandler) -> Any:
        with lock:
            return moto(handler)

    return call_action


def _idempotent(moto: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
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


def _limited(moto: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    def batch_write_item(handler: DynamoHandler) -> ActionResult:
        writes = sum(len(requests) for requests in handler.body["RequestItems"].values())
        if writes > MAX_BATCH_WRITES:
            raise MockValidationException(
                "1 validation error detected: Value at 'requestItems' failed to satisfy "
                "constraint: Member must have length less than or equal to 25"
            )
        return moto(handler)

    return batch_write_item
