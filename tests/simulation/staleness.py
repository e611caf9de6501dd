"""Reads that are not of the latest: of an index, or of a table without ConsistentRead.

Each write leaves behind what stood there before. A read that lags by some seconds is answered as
the table was then.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from infra.local.emulator import ACCOUNT_ID, REGION

Row = dict[str, Any]  #: in DynamoDB's form
Key = tuple[str, str, str]  #: table, tenant, sk


def table(name: str) -> Any:
    return dynamodb_backends[ACCOUNT_ID][REGION].tables[name]


def current(key: Key) -> Row | None:
    """The row as it stands."""
    item = table(key[0]).get_item(DynamoType({"S": key[1]}), DynamoType({"S": key[2]}))
    return None if item is None else dict(item.to_json()["Attributes"])


def keys_of(operation: str, body: dict[str, Any]) -> Iterator[Key]:
    """The rows that a request writes or reads one by one."""
    if operation == "TransactWriteItems":
        for action in body["TransactItems"]:
            (detail,) = action.values()
            yield _key(detail)
    elif operation == "BatchGetItem":
        for name, wanted in body["RequestItems"].items():
            for key in wanted["Keys"]:
                yield name, key["tenant"]["S"], key["sk"]["S"]
    elif operation == "BatchExecuteStatement":
        yield from map(_key_of_statement, body["Statements"])
    elif operation in ("GetItem", "UpdateItem", "PutItem", "DeleteItem"):
        yield _key(body)


def _key(detail: dict[str, Any]) -> Key:
    key = detail.get("Key") or detail["Item"]
    return detail["TableName"], key["tenant"]["S"], key["sk"]["S"]


def _key_of_statement(statement: dict[str, Any]) -> Key:
    """UPDATE "table" ... WHERE "tenant" = ? AND "sk" = ? ..., as the application writes it."""
    changed, _, _ = statement["Statement"].partition(" WHERE ")
    tenant, sk, *_ = statement["Parameters"][changed.count("?") :]
    return changed.split('"')[1], tenant["S"], sk["S"]


class Past:
    """What stood in the tables before each write."""

    def __init__(self) -> None:
        self._before: dict[Key, list[tuple[float, Row | None]]] = defaultdict(list)

    def keep(self, key: Key, now: float) -> Row | None:
        """Called before a row is written; what stands there."""
        row = current(key)
        self._before[key].append((now, row))
        return row

    def as_of(self, key: Key, moment: float) -> tuple[bool, Row | None]:
        """(True, the row then) when it was written since, else (False, None)."""
        for at, row in self._before.get(key, ()):
            if at > moment:
                return True, row
        return False, None

    def get(self, key: Key, moment: float, answer: dict[str, Any]) -> bool:
        """Makes an answer of GetItem older; False when nothing was written since."""
        changed, row = self.as_of(key, moment)
        if changed:
            answer.pop("Item", None)
            if row is not None:
                answer["Item"] = row
        return changed

    def query_due(self, body: dict[str, Any], moment: float, answer: dict[str, Any]) -> bool:
        """The same for a query of the index of waiting jobs."""
        return self.query(body, moment, answer, _DUE)

    def query(
        self, body: dict[str, Any], moment: float, answer: dict[str, Any], index: "Index"
    ) -> bool:
        """Makes an answer of a query of this index older; False when nothing was written since."""
        values = list(body["ExpressionAttributeValues"].values())
        older = {
            key: self.as_of(key, moment) for key in self._before if key[0] == body["TableName"]
        }
        then = {key[1:]: row for key, (changed, row) in older.items() if changed}
        kept = [row for row in answer["Items"] if (row["tenant"]["S"], row["sk"]["S"]) not in then]
        old = [row for row in then.values() if row is not None and index.holds(row, values)]
        answer["Items"] = kept + [{n: row[n] for n in index.names if n in row} for row in old]
        answer["Count"] = answer["ScannedCount"] = len(answer["Items"])
        return bool(then)


@dataclass(frozen=True)
class Index:
    """An index of rows by a shard and a time: what it holds of each."""

    names: tuple[str, ...]
    shard: str
    at: str

    def holds(self, row: Row, values: list[Any]) -> bool:
        """True when a query by these values finds the row."""
        shard = next(value["S"] for value in values if "S" in value)
        until = next((float(value["N"]) for value in values if "N" in value), float("inf"))
        at = float(row.get(self.at, {}).get("N", "inf"))
        return row.get(self.shard, {}).get("S") == shard and at <= until


_DUE = Index(
    ("tenant", "sk", "due_shard", "due_at", "queue", "type", "due_step_seconds"),
    "due_shard",
    "due_at",
)
