"""SQS calls per delivered job: sent, received and deleted, at full batches.

Counted on the local cloud, whose poller receives and deletes ten at a time as Lambda's does.
Receives that find nothing are left out: how many there are depends on how long nothing happens.
"""

from collections import Counter
from typing import Any

from tests.bench import cloud as clouds
from tests.bench.figures import Figure

USERS = 100  #: each brings an e-mail and an SMS
ROWS = 1_000  #: of an import


def measured() -> list[Figure]:
    """The figures of single requests and of an import."""
    calls: Counter[str] = Counter()

    def seen(service: str, operation: str, _: dict[str, Any], answer: dict[str, Any]) -> None:
        empty = operation == "ReceiveMessage" and not answer.get("Messages")
        if service == "sqs" and operation != "GetQueueUrl" and not empty:
            calls[operation] += 1

    with clouds.counted(seen) as cloud:
        admin = clouds.admin_of(cloud)
        calls.clear()
        for number in range(USERS):
            created = admin.create_user(email=f"u{number}@example.com", phone=_phone(number))
            assert created.status_code == 201, created.text
        single = _figure("single requests", calls, clouds.drained(cloud, "notify"), 0.75)
        calls.clear()
        _import(admin)
        bulk = _figure("an import", calls, clouds.drained(cloud, "bulk"), 0.35)
    return [single, bulk]


def _import(admin: Any) -> None:
    rows = (f"N,i{number}@example.com,{_phone(number)},staff" for number in range(ROWS))
    answer = admin.send(
        "POST",
        "/admin/v1/users/import",
        headers={"Content-Type": "text/csv"},
        data="name,email,phone,role\n" + "\n".join(rows),
    )
    assert answer.status_code == 202, answer.text


def _phone(number: int) -> str:
    return f"+4366412{number:05}"


def _figure(kind: str, calls: Counter[str], jobs: int, most: float) -> Figure:
    note = ", ".join(f"{count} {name}" for name, count in sorted(calls.items()))
    name = f"SQS calls per delivered job, {kind}"
    return Figure(name, sum(calls.values()) / jobs, "calls", most, note=f"{jobs} jobs: {note}")
