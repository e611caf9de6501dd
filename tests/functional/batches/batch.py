"""A batch of the tests' own: queued, worked and read."""

from collections import Counter
from typing import Any

from infra.local.cloud import LocalCloud
from tests.functional.batches import members
from tests.functional.client import Caller

AFTER_A_CRASH_SECONDS = 400
FOLLOWING = {"then": "batches.then", "catch": "batches.catch", "finally_": "batches.finally_"}


def start(*jobs: str, units: int = 1, **following: str) -> str:
    """A batch of these jobs, queued; its id."""
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    with Transaction("t1") as tx:
        batch = batches.create(tx, **following)  # type: ignore[arg-type]
        for number, name in enumerate(jobs):
            how = Delivery(batch=batch, units=units)
            tx.enqueue(f"batches.{name}", how, label=f"{name}-{number}")
    return batch.id


def row(batch_id: str) -> Any:
    """The batch as jobs read it."""
    from chalicelib.kernel.jobs import batches

    seen = batches.get("t1", batch_id, consistent=True)
    assert seen is not None
    return seen.batch


def seen(manager: Caller, batch_id: str) -> dict[str, Any]:
    answer = manager.get(f"/v1/batches/{batch_id}")
    assert answer.status_code == 200, answer.text
    batch: dict[str, Any] = answer.json()["data"]
    return batch


def figures(manager: Caller, batch_id: str) -> tuple[str, int, int, int, int]:
    batch = seen(manager, batch_id)
    return tuple(batch[name] for name in ("status", "total", "done", "failed", "percent"))  # type: ignore[return-value]


def followers() -> Counter[str]:
    """How often each of the jobs that follow a batch ran."""
    return +Counter({name: members.ran[name] for name in ("then", "catch", "finally")})


def retried(cloud: LocalCloud) -> None:
    for _ in range(4):
        cloud.run_until_idle()
        cloud.advance(AFTER_A_CRASH_SECONDS)
    cloud.run_until_idle()
