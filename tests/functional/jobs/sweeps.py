"""Many jobs for later, one sweep as Lambda calls it, and what it sends."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.http.store_calls import hooked

EVENT = Path(__file__).parents[3] / "events" / "sweep" / "each-minute.json"
LATER_SECONDS = 600


class Sends(msgspec.Struct):
    """The calls that pushed jobs, in order."""

    tenants: list[list[str]] = []  #: of each call's jobs
    jobs: list[str] = []
    began: float = msgspec.field(default_factory=time.perf_counter)
    seconds: float = 0  #: from the beginning to the latest answer

    def begins(self, params: dict[str, Any], **_: Any) -> None:
        bodies = [json.loads(entry["MessageBody"]) for entry in params["Entries"]]
        self.tenants.append([body["tenant"] for body in bodies])
        self.jobs.extend(body["job"] for body in bodies)

    def ended(self, **_: Any) -> None:
        self.seconds = time.perf_counter() - self.began


@contextmanager
def watched() -> Iterator[Sends]:
    sends = Sends()
    with (
        hooked("before-parameter-build.sqs.SendMessageBatch", sends.begins),
        hooked("after-call.sqs.SendMessageBatch", sends.ended),
    ):
        yield sends


class Context:
    """What Lambda hands to the function beside the event."""

    def __init__(self, seconds: int = 60) -> None:
        self._ends_at = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_at - time.monotonic()) * 1000)


def sweep(cloud: LocalCloud, seconds: int = 60) -> Sends:
    """Runs one sweep, for which Lambda leaves so many seconds; what it sent."""
    with watched() as sends:
        cloud.invoke("sweep", json.loads(EVENT.read_text()), Context(seconds))
    return sends


def queue_for_later(
    jobs: int, tenant: str = "t1", queue: str = "work", seconds: int = LATER_SECONDS
) -> list[str]:
    """Saves so many jobs that wait for so many seconds; their ids."""
    from chalicelib.kernel.jobs import ledger

    at = int(time.time()) + seconds
    rows = [
        ledger.new(
            tenant, "functional.count", {"label": str(n)}, queue=queue, tries=3, not_before=at
        )
        for n in range(jobs)
    ]
    with ledger.Job.batch_write() as writing:
        for row in rows:
            writing.save(row)
    return [row.id for row in rows]


def row_of(job_id: str, tenant: str = "t1") -> dict[str, Any]:
    return aws.rows("kernel", tenant)[f"job#{job_id}"]


def steps(tenant: str = "t1") -> list[int]:
    """The pause after the next push, for each job of the tenant that has not ended."""
    rows = aws.rows("kernel", tenant).items()
    return [
        int(row["due_step_seconds"]["N"])
        for key, row in rows
        if key.startswith("job#") and "due_at" in row
    ]
