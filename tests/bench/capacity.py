"""DynamoDB's consumed capacity, worked out from what was asked and answered.

moto's own figures are not DynamoDB's, so the rules of
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html are
applied to the items: a write unit a KB, two in a transaction, and one more for each index that the
item stands in; a read unit 4 KB, half of one when eventually consistent. An update is taken for as
large as the row that it returns; one that touches an index's key counts twice there.
"""

import math
import re
from typing import Any

Item = dict[str, dict[str, Any]]
WRITE_BYTES, READ_BYTES = 1024, 4096
#: keys of the indexes by the ending of the table's name, as in infra/template.yaml
INDEXES = {
    "kernel": (("due_shard", "due_at"), ("recipient_key",)),
    "people": (("name_key",), ("email_key",)),
}
_NAME = re.compile(r"#?\w+")
_QUOTED = re.compile(r'"([^"]+)"')


def of(operation: str, asked: dict[str, Any], answer: dict[str, Any]) -> tuple[float, float]:
    """(write units, read units) of one call."""
    if operation == "TransactWriteItems":
        return sum(_action(each) for each in asked["TransactItems"]), 0.0
    if operation == "BatchWriteItem":
        requests = [each for of_table in asked["RequestItems"].items() for each in _puts(*of_table)]
        return sum(requests), 0.0
    if operation == "BatchExecuteStatement":
        return sum(map(_statement, asked["Statements"], answer["Responses"])), 0.0
    if operation == "PutItem":
        return _put(asked, 1), 0.0
    if operation in ("UpdateItem", "DeleteItem"):
        return _change(asked, _units(answer.get("Attributes", {}), WRITE_BYTES), 1), 0.0
    if operation == "BatchGetItem":
        return 0.0, _read_each(asked, answer)
    return 0.0, _read(asked, answer)


def _puts(table: str, requests: list[dict[str, Any]]) -> list[float]:
    found = (each.get("PutRequest", {}) for each in requests)
    return [_put({"TableName": table, "Item": each.get("Item", {})}, 1) for each in found]


def _action(action: dict[str, Any]) -> float:
    ((kind, asked),) = action.items()
    if kind == "Put":
        return _put(asked, 2)
    return 2.0 if kind == "ConditionCheck" else _change(asked, 1, 2)


def _put(asked: dict[str, Any], times: int) -> float:
    item, indexes = asked["Item"], INDEXES[asked["TableName"].rpartition("-")[2]]
    units = _units(item, WRITE_BYTES)
    return units * times + units * sum(1 for keys in indexes if set(keys) <= item.keys())


def _change(asked: dict[str, Any], units: int, times: int) -> float:
    names = set(_NAME.findall(asked.get("UpdateExpression", "")))
    touched = {asked.get("ExpressionAttributeNames", {}).get(name, name) for name in names}
    return _touched(asked["TableName"], touched, units, times)


def _statement(asked: dict[str, Any], answer: dict[str, Any]) -> float:
    """Of an UPDATE in PartiQL, which costs what UpdateItem costs; a failed one changes no index."""
    if "Error" in answer:
        return 1.0
    changed, _, _ = asked["Statement"].partition(" WHERE ")
    table, *names = _QUOTED.findall(changed)
    return _touched(table, set(names), _units(answer.get("Item", {}), WRITE_BYTES), 1)


def _touched(table: str, names: set[str], units: int, times: int) -> float:
    """A change of an index's key is a delete and a put there; the row is as large as it was."""
    indexes = INDEXES[table.rpartition("-")[2]]
    return units * times + units * sum(2 for keys in indexes if names & set(keys))


def _read_each(asked: dict[str, Any], answer: dict[str, Any]) -> float:
    """Each item counts by itself; those that are asked for in part are taken for 4 KB at most."""
    return sum(
        _read(
            {"ConsistentRead": asked["RequestItems"][table].get("ConsistentRead")}, {"Item": item}
        )
        for table, items in answer["Responses"].items()
        for item in items
    )


def _read(asked: dict[str, Any], answer: dict[str, Any]) -> float:
    items = answer.get("Items") or [answer.get("Item") or {}]
    size = sum(map(_bytes, items))
    units = max(1, math.ceil(size / READ_BYTES))
    return units * (1.0 if asked.get("ConsistentRead") else 0.5)


def _units(item: Item, each: int) -> int:
    return max(1, math.ceil(_bytes(item) / each))


def _bytes(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(str(name)) + _bytes(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(map(_bytes, value))
    return len(value if isinstance(value, bytes) else str(value).encode())
