"""TransactWriteItems as AWS does it.

moto copies every table that a transaction names and, when a condition fails, puts the copies back:
whatever other threads committed meanwhile is gone. Here all conditions are checked first, then the
items are written, and only the items that the transaction names are put back when a write fails.
Callers hold the lock of DynamoDB.
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

from infra.local.corrections import orders

MAX_ACTIONS = 100
MAX_BYTES = 4 * 1024 * 1024
TOKEN_SECONDS = 600

#: Faults of an item that AWS tells as a cancellation; any other fault is one of the request.
ITEM_FAULTS = (
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


class Action(NamedTuple):
    kind: str  #: ConditionCheck, Put, Update or Delete
    body: dict[str, Any]
    table: Table
    hash_key: DynamoType
    range_key: DynamoType | None

    @property
    def current(self) -> Item | None:
        return self.table.get_item(self.hash_key, self.range_key)

    @property
    def key(self) -> dict[str, Any]:
        key: dict[str, Any] = {self.table.hash_key_attr: self.hash_key}
        if self.table.range_key_attr is not None and self.range_key is not None:
            key[self.table.range_key_attr] = self.range_key
        return key


def transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """All of it or nothing; TransactionCanceledException says why, action by action."""
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
    """The ClientRequestTokens of the last ten minutes and what each was used for."""

    def __init__(self) -> None:
        self._used: dict[tuple[DynamoDBBackend, str], tuple[float, str]] = {}

    def is_replay(self, backend: DynamoDBBackend, token: str, items: list[dict[str, Any]]) -> bool:
        at, content = self._used.get((backend, token), (0.0, ""))
        if not at or time.time() - at > TOKEN_SECONDS:
            return False
        if content != _digest(items):
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
    given = body["Item"] if kind == "Put" else body["Key"]
    if any(name not in given for name in names):
        raise _missing_key(kind, given, names)
    if kind != "Put" and len(given) != len(names):
        raise ProvidedKeyDoesNotExist
    keys = [DynamoType(given[name]) for name in names]
    return Action(kind, body, table, keys[0], keys[1] if len(keys) > 1 else None)


def _missing_key(kind: str, given: dict[str, Any], names: list[str]) -> MockValidationException:
    if kind != "Put":
        return ProvidedKeyDoesNotExist()
    missing = next(name for name in names if name not in given)
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
    given = _attributes_size(action.body.get("ExpressionAttributeValues") or {})
    return given + (action.current.size() if action.current else 0)


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
    wanted = body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and current is not None
    old = current.to_json()["Attributes"] if wanted and current is not None else None
    return "ConditionalCheckFailed", "The conditional request failed", old


def _write_all(backend: DynamoDBBackend, actions: list[Action]) -> None:
    before: list[tuple[Action, Item | None]] = []
    for action in actions:
        before.append((action, _kept(action)))
        try:
            _write(backend, action)
        except Exception as error:
            for written, item in reversed(before):
                orders.put_back(written.table, written.hash_key, written.range_key, item)
            if isinstance(error, ITEM_FAULTS):
                raise TransactionCanceledException(_one_reason(actions, action, error)) from error
            raise


def _kept(action: Action) -> Item | None:
    # An update changes the item in place; a put or a delete leaves the old one as it was.
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


def _one_reason(actions: list[Action], culprit: Action, error: Exception) -> list[Reason]:
    message = str(getattr(error, "message", error))
    reason: Reason = ("ValidationError", message, None)
    return [reason if action is culprit else (None, None, None) for action in actions]
