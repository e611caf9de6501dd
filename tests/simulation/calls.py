"""One try of an AWS call, what may happen to it, and the counts of all that did."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.staleness import keys_of

#: What may happen to a call, by how often it does among all that goes wrong.
FAULTS = {
    "refused": 22,
    "throttled": 18,
    "answer lost": 22,
    "dead before": 12,
    "dead after": 12,
    "slow": 8,
    "frozen": 5,
    "other": 3,  #: a conflict of transactions, or an answer 500 whether it was done or not
}
#: What can be out for a while: a service, or one operation of it.
OUTAGES_OF_MESSAGES = ("dynamodb", "dynamodb.TransactWriteItems", "sqs", "sesv2", "sns")

WRITES = frozenset(
    {"UpdateItem", "PutItem", "DeleteItem", "TransactWriteItems", "BatchExecuteStatement"}
)
_FREE_PARTITIONS = frozenset({"#tenants", "#platform", "#parked"})

Answer = tuple[Any, Any]
#: Stands for a service: given the call, its endpoint and its operation, it answers.
Service = Callable[["Call", Any, Any], Answer]


@dataclass
class Counts:
    """What happened in one run, or in several."""

    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    sends: Counter[str] = field(default_factory=Counter)  #: by channel
    windows: Counter[str] = field(default_factory=Counter)  #: by channel
    repeats: Counter[str] = field(default_factory=Counter)  #: by channel
    repeats_by_events: Counter[str] = field(default_factory=Counter)  #: `email, muted`

    def add(self, other: "Counts") -> None:
        self.calls += other.calls
        for name in ("faults", "sends", "windows", "repeats", "repeats_by_events"):
            getattr(self, name).update(getattr(other, name))


@dataclass(frozen=True)
class Call:
    """One try of an AWS call."""

    service: str
    operation: str
    body: dict[str, Any]

    @property
    def sends(self) -> bool:
        return self.operation in ("SendEmail", "Publish")

    @property
    def name(self) -> str:
        return f"{self.service}.{self.operation}"

    def trespasses(self, tenant: str | None) -> list[str]:
        """The keys of others that it touches on behalf of this tenant; None may touch all."""
        if tenant is None or self.service != "dynamodb":
            return []
        others = self.tenants_named() - _FREE_PARTITIONS - {tenant}
        return [f"{self.name} of {tenant} touched {other}" for other in others]

    def tenants_named(self) -> set[str]:
        """Whose keys it touches."""
        if self.operation == "Query":
            hash_value = next(iter(self.body["ExpressionAttributeValues"].values()))
            return {
                hash_value["S"].partition("#")[0] if self.body.get("IndexName") else hash_value["S"]
            }
        return {key[1] for key in keys_of(self.operation, self.body)}
