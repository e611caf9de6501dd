"""What was asked for and what was answered, and what the tables hold of it."""

import base64
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.simulation import staleness

Row = dict[str, Any]


@dataclass
class Suspension:
    """A time in which a tenant was suspended, by the world's own clock."""

    began: float
    ended: float = float("inf")


@dataclass
class Asked:
    """One thing that a client wanted, with all tries at it."""

    kind: str  #: create, import, resend, accept, deactivate, batch
    tenant: str
    key: str | None  #: Idempotency-Key
    email: str = ""  #: of the user it is about
    phone: str | None = None
    rows: list[tuple[int, str]] = field(default_factory=list)  #: of an import: line, address
    tries: int = 0
    answers: list[int] = field(default_factory=list)  #: statuses; 0: no answer came
    data: dict[str, Any] | None = None  #: of the first success
    taken_before: bool = False  #: an address that others may have too

    @property
    def acknowledged(self) -> bool:
        return self.data is not None


@dataclass(frozen=True)
class Tables:
    """All rows of the tables, by (tenant, sk)."""

    kernel: dict[tuple[str, str], Row]
    people: dict[tuple[str, str], Row]
    projects: dict[tuple[str, str], Row]

    def jobs(self) -> dict[str, Row]:
        """Jobs by id."""
        return self._by_prefix(self.kernel, "job#")

    def batches(self) -> dict[str, Row]:
        """Batches by id, with what all their shards count."""
        rows = self._by_prefix(self.kernel, "batch#")
        batches = {key: dict(row) for key, row in rows.items() if "#" not in key}
        for key, shard in rows.items():
            if "#" in key:
                batch = batches[key.partition("#")[0]]
                batch |= {name: batch[name] + shard[name] for name in ("done", "failed")}
        return batches

    def persons(self) -> dict[str, Row]:
        return self._by_prefix(self.people, "person#")

    @staticmethod
    def _by_prefix(rows: dict[tuple[str, str], Row], prefix: str) -> dict[str, Row]:
        return {
            key[1].removeprefix(prefix): row
            for key, row in rows.items()
            if key[1].startswith(prefix)
        }


def read() -> Tables:
    return Tables(_rows("kernel"), _rows("people"), _rows("projects"))


def _rows(thing: str) -> dict[tuple[str, str], Row]:
    items = staleness.table(f"backburner-local-{thing}").all_items()
    rows = [plain(item.to_json()["Attributes"]) for item in items]
    return {(row["tenant"], row["sk"]): row for row in rows}


def plain(raw: dict[str, Any]) -> Row:
    """A row in DynamoDB's form as plain values."""
    return {name: _value(value) for name, value in raw.items()}


def _value(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "N":
        number = Decimal(content)
        return int(number) if number == int(number) else float(number)
    if kind == "B":
        return base64.b64decode(content) if isinstance(content, str) else content
    if kind == "L":
        return [_value(each) for each in content]
    if kind == "M":
        return plain(content)
    return None if kind == "NULL" else content


def arguments(job: Row) -> dict[str, Any]:
    return dict(json.loads(job.get("args", "{}")))
