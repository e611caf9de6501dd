"""TransactWriteItems: all or nothing, and without loss of what other threads write.

moto copies every table that a transaction names and, when a condition fails, puts the copies back,
which undoes everything that other threads have committed since. Here all conditions are checked
first, then the items are written; if a write fails, only the transaction's own items are restored.
Callers hold the lock of dynamodb.py.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

import copy
import hashlib
import json
import time
from typing import Any, NamedTuple

from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    AttributeDoesNotExist,
    DynamodbException,
    IncorrectDataType,
    IncorrectOperandType,
    ItemSizeTooLarge,
    ItemSizeToUpdateTooLarge,
    MockValidationException,
    MultipleTransactionsException,
    ProvidedKeyDoesNotExist,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from infra.local.corrections.item_writes import restore

MAX_ACTIONS = 100
MAX_BYTES = 4 * 1024 * 1024
TOKEN_SECONDS = 600

#: Errors of an item, which AWS reports as a cancellation; any other is an error of the request.
ITEM_ERRORS = (
    AttributeDoesNotExist,
    IncorrectDataType,
    IncorrectOperandType,
    ItemSizeTooLarge,
    ItemSizeToUpdateTooLarge,
)

Reason = tuple[str, str, dict[str, Any] | None] | tuple[None, None, None]


class IdempotentParameterMismatch(DynamodbException):
    def __init__(self) -> None:
        super().__init__(
            "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
            "The request uses the same client token as a previous, but non-identical request",
        )


class TransactionConflict(DynamodbException):
    """The answer to a plain write; in a batch, and as a reason of a cancellation, by its name."""

    name = "TransactionConflict"
    text = "Transaction is ongoing for the item"

    def __init__(self) -> None:
        super().__init__("com.amazonaws.dynamodb.v20120810#TransactionConflictException", self.text)


class Action(NamedTuple):
    kind: str  #: ConditionCheck, Put, Update or Delete
    body: dict[str, Any]
    table: Table
    hash_key: DynamoType
    range_key: DynamoType | None

    @property
    def current(self) -> Item | None:
        return self.table.get_item(self.hash_key, self.range_key)


def transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """Raises TransactionCanceledException with one reason per action when nothing was written."""
    if not 1 <= len(transact_items) <= MAX_ACTIONS:
        raise TooManyTransactionsException
    actions = [_action(backend, item) for item in transact_items]
    _refuse_repeated_items(actions)
    _refuse_more_than_4_mb(actions)
    reasons = [_condition_failure(action) for action in actions]
    if any(code is not None for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)
    _write_all(backend, actions)


class Tokens:
    """The ClientRequestTokens of the last ten minutes with the requests they were used for."""

    def __init__(self) -> None:
        self._used: dict[tuple[DynamoDBBackend, str], tuple[float, str]] = {}

    def is_known(self, backend: DynamoDBBackend, token: str) -> bool:
        at, _ = self._used.get((backend, token), (0.0, ""))
        return time.time() - at <= TOKEN_SECONDS

    def is_replay(self, backend: DynamoDBBackend, token: str, items: list[dict[str, Any]]) -> bool:
        if not self.is_known(backend, token):
            return False
        if self._used[backend, token][1] != _digest(items):
            raise IdempotentParameterMismatch
        return True

    def remember(self, backend: DynamoDBBackend, token: str, items: list[dict[str, Any]]) -> None:
        now = time.time()
        while self._used and now - next(iter(self._used.values()))[0] > TOKEN_SECONDS:
            del self._used[next(iter(self._used))]
        self._used.pop((backend, token), None)
        self._used[(backend, token)] = (now, _digest(items))

    def clear(self) -> None:
        self._used.clear()


def _digest(items: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(items, sort_keys=True, default=repr).encode()).hexdigest()


def _action(backend: DynamoDBBackend, item: dict[str, Any]) -> Action:
    if len(item) != 1:
        raise TransactWriteSingleOpException
    kind, body = next(iter(item.items()))
    table = backend.get_table(body["TableName"])
    names = table.table_key_attrs
    attributes = body["Item"] if kind == "Put" else body["Key"]
    if any(name not in attributes for name in names):
        raise _missing_key(kind, attributes, names)
    if kind != "Put" and len(attributes) != len(names):
        raise ProvidedKeyDoesNotExist
    keys = [DynamoType(attributes[name]) for name in names]
    return Action(kind, body, table, keys[0], keys[1] if len(keys) > 1 else None)


def _missing_key(
    kind: str, attributes: dict[str, Any], names: list[str]
) -> MockValidationException:
    if kind != "Put":
        return ProvidedKeyDoesNotExist()
    missing = next(name for name in names if name not in attributes)
    return MockValidationException(
        f"One or more parameter values were invalid: Missing the key {missing} in the item"
    )


def _refuse_repeated_items(actions: list[Action]) -> None:
    named = {(a.table.name, a.hash_key, a.range_key) for a in actions}
    if len(named) < len(actions):
        raise MultipleTransactionsException


def _refuse_more_than_4_mb(actions: list[Action]) -> None:
    if sum(_size(action) for action in actions) > MAX_BYTES:
        raise MockValidationException("Transaction request cannot exceed 4 MB in size")


def _size(action: Action) -> int:
    if action.kind == "Put":
        return _attributes_size(action.body["Item"])
    values = _attributes_size(action.body.get("ExpressionAttributeValues") or {})
    return values + (action.current.size() if action.current else 0)


def _attributes_size(attributes: dict[str, Any]) -> int:
    return sum(len(name.encode()) + DynamoType(v).size() for name, v in attributes.items())


def _condition_failure(action: Action) -> Reason:
    current, body = action.current, action.body
    expression = body.get("ConditionExpression")
    if expression is None:
        return None, None, None
    names, values = body.get("ExpressionAttributeNames"), body.get("ExpressionAttributeValues")
    if get_filter_expression(expression, names, values).expr(current):
        return None, None, None
    returns_old = body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    old = current.to_json()["Attributes"] if returns_old and current is not None else None
    return "ConditionalCheckFailed", "The conditional request failed", old


def _write_all(backend: DynamoDBBackend, actions: list[Action]) -> None:
    before: list[tuple[Action, Item | None]] = []
    for action in actions:
        before.append((action, _snapshot(action)))
        try:
            _write(backend, action)
        except Exception as error:
            for written, item in reversed(before):
                restore(written.table, written.hash_key, written.range_key, item)
            if isinstance(error, ITEM_ERRORS):
                raise TransactionCanceledException(_reasons(actions, action, error)) from error
            raise


def _snapshot(action: Action) -> Item | None:
    # Only an update changes the item in place and so needs a copy.
    return copy.deepcopy(action.current) if action.kind == "Update" else action.current


def _write(backend: DynamoDBBackend, action: Action) -> None:
    if action.kind == "Put":
        action.table.put_item(action.body["Item"], overwrite=True)
    elif action.kind == "Delete":
        action.table.delete_item(action.hash_key, action.range_key)
    elif action.kind == "Update":
        backend.update_item(
            action.table.name,
            action.body["Key"],
            update_expression=action.body["UpdateExpression"],
            expression_attribute_names=action.body.get("ExpressionAttributeNames", {}),
            expression_attribute_values=action.body.get("ExpressionAttributeValues", {}),
        )


def _reasons(actions: list[Action], culprit: Action, error: Exception) -> list[Reason]:
    message = str(getattr(error, "message", error))
    reason: Reason = ("ValidationError", message, None)
    return [reason if action is culprit else (None, None, None) for action in actions]
