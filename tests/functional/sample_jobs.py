"""Jobs of the tests' own, declared as any domain declares its jobs.

`functional.count` succeeds; `functional.fail` fails as often as it is told; `functional.crash`
ends its process; `functional.once` is a job that must not be run again after a lost attempt.
`functional.weigh` and `functional.stamp` subscribe to the event that a parcel was sent.
"""

import threading
from collections import Counter

from chalicelib.kernel.errors import AppError, Retry, Skip
from chalicelib.kernel.jobs import registry
from chalicelib.kernel.jobs.outbox import Delivery, Transaction
from chalicelib.kernel.jobs.registry import Context, Declared, job
from chalicelib.kernel.jobs.retry import Backoff

_lock = threading.Lock()
starts: Counter[str] = Counter()  #: how often each job began, by its label
successes: Counter[str] = Counter()


class Dead(BaseException):
    """What the end of a process looks like from inside."""


def forget() -> None:
    starts.clear()
    successes.clear()


def _begin(label: str) -> int:
    with _lock:
        starts[label] += 1
        return starts[label]


def _succeed(label: str) -> None:
    with _lock:
        successes[label] += 1


@job(queue="work", tries=3, retry=Backoff(first_seconds=30))
def count(context: Context, *, label: str) -> None:
    _begin(label)
    _succeed(label)


@job(queue="work", tries=3, retry=Backoff(first_seconds=30))
def fail(context: Context, *, label: str, times: int) -> None:
    if _begin(label) <= times:
        raise RuntimeError(f"{label} fails on purpose")
    _succeed(label)


@job(queue="work", tries=3, retry=Backoff(first_seconds=30))
def crash(context: Context, *, label: str, times: int) -> None:
    if _begin(label) <= times:
        raise Dead
    _succeed(label)


@job(queue="work", on="parcel.sent")
def weigh(context: Context, *, label: str) -> None:
    _begin(f"{label} weighed")
    _succeed(f"{label} weighed")


@job(queue="work", on="parcel.sent")
def stamp(context: Context, *, label: str) -> None:
    _begin(f"{label} stamped")
    _succeed(f"{label} stamped")


@job(queue="work")
def everywhere(context: Context, *, queues: list[str]) -> None:
    """Enqueues a job for each of these queues."""
    with Transaction(context.tenant_id) as tx:
        for queue in queues:
            tx.enqueue("functional.count", Delivery(queue=queue), label=queue)


@job(queue="work", tries=3)
def refuse(context: Context, *, label: str) -> None:
    _begin(label)
    raise AppError("this can never work")


@job(queue="work", tries=3)
def skip(context: Context, *, label: str) -> None:
    _begin(label)
    raise Skip("not-wanted")


@job(queue="work", tries=3, retry=Backoff(first_seconds=30))
def hold(context: Context, *, label: str, times: int, seconds: int) -> None:
    if _begin(label) <= times:
        raise Retry("a limit", after_seconds=seconds)
    _succeed(label)


def _once(context: Context, *, label: str, times: int) -> None:
    crash(context, label=label, times=times)


registry.add(Declared("functional.once", "work", 3, 50, Backoff(), _once, lost_attempt="give_up"))


def enqueue(*jobs: tuple[str, dict[str, object]], tenant: str = "t1") -> list[str]:
    """Saves jobs `(name, arguments)` and pushes them; their ids in the same order."""
    ids = []
    for start in range(0, len(jobs), 100):
        with Transaction(tenant) as tx:
            ids += [
                tx.enqueue(f"functional.{name}", **args).id for name, args in jobs[start:][:100]
            ]
    return ids
