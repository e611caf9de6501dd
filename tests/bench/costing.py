"""AWS calls, consumed capacity and estimated dollars of each kind of request, job and tenant.

Calls and items are counted on the local cloud; prices and what is assumed stand in prices.py.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import capacity, prices
from tests.bench import cloud as clouds
from tests.functional.client import Answer, Caller

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
ROWS = 1_000  #: of the import
JOB = "deliver an invitation (a job)"
#: A tenant of a month: how often each kind happens, for the sum per tenant.
MONTH = {"create user": 100, "read user": 2_000, "list 50 users": 500, "change user": 200}


@dataclass
class Use:
    """What one kind of request or job used, altogether, and how often it was done."""

    kind: str
    times: int = 1
    calls: dict[str, int] = field(default_factory=dict)
    writes: float = 0.0
    reads: float = 0.0
    requests: int = 1
    jobs: int = 0

    def add(self, service: str, operation: str, asked: Any, answer: Any) -> None:
        self.calls[operation] = self.calls.get(operation, 0) + 1
        if service == "dynamodb":
            writes, reads = capacity.of(operation, asked, answer)
            self.writes += writes
            self.reads += reads

    @property
    def dollars(self) -> float:
        """Of one."""
        sqs = sum(count for name, count in self.calls.items() if "Message" in name)
        used = self.writes * prices.WRITE_UNIT + self.reads * prices.READ_UNIT
        used += sqs * prices.SQS_CALL
        used += self.requests * _request_dollars() + self.jobs * _job_dollars()
        return used / self.times

    def as_json(self) -> dict[str, Any]:
        calls = {name: count / self.times for name, count in self.calls.items()}
        return {
            "kind": self.kind,
            "aws_calls": calls,
            "write_units": self.writes / self.times,
            "read_units": self.reads / self.times,
            "dollars_per_million": self.dollars * prices.MILLION,
        }


def _request_dollars() -> float:
    run = prices.REQUEST_SECONDS * prices.REQUEST_GB * prices.LAMBDA_GB_SECOND
    return prices.API_CALL + prices.LAMBDA_CALL + run + prices.LOG_BYTES * prices.LOG_BYTE


def _job_dollars() -> float:
    batch = prices.JOB_BATCH_SECONDS * prices.WORKER_GB * prices.LAMBDA_GB_SECOND
    logged = prices.LOG_BYTES * prices.LOG_BYTE
    return (batch + prices.LAMBDA_CALL) / prices.JOBS_IN_BATCH + logged


class _Counting:
    """Collects what happens between the beginning and the end of one kind."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self._now: Use | None = None

    def seen(self, service: str, operation: str, asked: Any, answer: Any) -> None:
        empty = operation == "ReceiveMessage" and not answer.get("Messages")
        if self._now is not None and operation != "GetQueueUrl" and not empty:
            self._now.add(service, operation, asked, answer)

    @contextmanager
    def of(self, kind: str) -> Iterator[Use]:
        self._now = Use(kind)
        self.uses.append(self._now)
        yield self._now
        self._now = None


def measured() -> list[Use]:
    """Each kind of request of the people's domain, and the jobs it leaves."""
    counting = _Counting()
    with clouds.counted(counting.seen) as cloud:
        admin = clouds.admin_of(cloud)
        _requests(counting, admin)
        clouds.drained(cloud, "notify")
        for number in range(30):
            admin.create_user(email=f"job{number}@example.com", phone=f"+4366412{number:05}")
        with counting.of(JOB) as use:
            use.times = use.jobs = clouds.drained(cloud, "notify")
            use.requests = 0
        with counting.of("a row of an import, with its mail") as use:
            use.times = ROWS
            _accepted(lambda: _import(admin))
            use.jobs = clouds.drained(cloud, "bulk")
    return counting.uses


def _requests(counting: _Counting, admin: Caller) -> None:
    with counting.of("create user"):
        created = _accepted(
            lambda: admin.post(
                "/admin/v1/users",
                {"name": "Ann", "email": "a@b.at", "phone": "+436641234567", "role": "staff"},
                headers={"Idempotency-Key": "once"},
            )
        )
    path = f"/admin/v1/users/{created.json()['data']['user']['id']}"
    for number in range(50):
        admin.create_user(email=f"listed{number}@example.com")
    kinds: dict[str, Callable[[], Answer]] = {
        "read user": lambda: admin.get(path),
        "list 50 users": lambda: admin.get("/admin/v1/users?per_page=50"),
        "search 50 users": lambda: admin.get("/admin/v1/users?per_page=50&search=ann"),
        "change user": lambda: admin.patch(path, {"name": "Bea"}),
        "deactivate user": lambda: admin.delete(path),
    }
    for kind, ask in kinds.items():
        with counting.of(kind):
            _accepted(ask)


def _accepted(ask: Callable[[], Answer]) -> Answer:
    answer = ask()
    assert answer.status_code < 300, answer.text
    return answer


def _import(admin: Caller) -> Answer:
    rows = "\n".join(f"N,i{number}@example.com,staff" for number in range(ROWS))
    return admin.send(
        "POST",
        "/admin/v1/users/import",
        headers={"Content-Type": "text/csv"},
        data=f"name,email,role\n{rows}",
    )


def per_tenant(uses: list[Use]) -> float:
    """Dollars of a tenant's month by MONTH, with two messages for each new user."""
    by_kind = {use.kind: use.dollars for use in uses}
    asked = sum(times * by_kind[kind] for kind, times in MONTH.items())
    return asked + MONTH["create user"] * (2 * by_kind[JOB] + prices.MAIL)


def idle_month() -> dict[str, float]:
    """Dollars of a month in which nobody calls, by what asks for them."""
    template = TEMPLATE.read_text()
    queues = 4  # that a function reads: notify, work, bulk, feedback
    seconds = prices.HOURS_IN_MONTH * 3600
    sweeps = seconds / 60
    shards = 8
    sweeping = prices.REQUEST_SECONDS * prices.SWEEP_GB * prices.LAMBDA_GB_SECOND
    return {
        "polls of idle queues": queues * prices.POLLERS_OF_MAPPING * seconds / 20 * prices.SQS_CALL,
        "sweep": sweeps * (shards * 0.5 * prices.READ_UNIT + prices.LAMBDA_CALL + sweeping),
        "alarms": len(re.findall("Type: AWS::CloudWatch::Alarm", template)) * prices.ALARM_MONTH,
        "composite alarms": template.count("Type: AWS::CloudWatch::CompositeAlarm")
        * prices.COMPOSITE_ALARM_MONTH,
        "dashboard": template.count("Type: AWS::CloudWatch::Dashboard") * prices.DASHBOARD_MONTH,
        "metrics": prices.METRICS * prices.METRIC_MONTH,
    }


def table(uses: list[Use]) -> str:
    head = f"\nEstimated cost, list prices of {prices.REGION} as of {prices.DATED} (an estimate)"
    lines = [head, f"  {'':<34}{'AWS calls':>10}{'WRU':>7}{'RRU':>7}{'$ per million':>15}"]
    for use in uses:
        told = use.as_json()
        calls = sum(told["aws_calls"].values())
        lines.append(
            f"  {use.kind:<34}{calls:>10.2f}{told['write_units']:>7.1f}{told['read_units']:>7.1f}"
            f"{told['dollars_per_million']:>15.2f}"
        )
    month = ", ".join(f"{times:,} x {kind}" for kind, times in MONTH.items())
    idle = idle_month()
    parts = ", ".join(f"{name} {dollars:.2f}" for name, dollars in idle.items())
    return "\n".join(
        [
            *lines,
            f"  a tenant's month ({month}, mails): $ {per_tenant(uses):.4f}",
            f"  an idle month: $ {sum(idle.values()):.2f} ({parts})",
        ]
    )
