"""Members of batches and unique jobs of these tests' own, and what they left behind."""

import random
import threading
from collections import Counter

from chalicelib.kernel.errors import AppError
from chalicelib.kernel.jobs import batches
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.outbox import Delivery, Transaction
from chalicelib.kernel.jobs.registry import Context, LineError, Result, job
from chalicelib.kernel.jobs.retry import Backoff

_lock = threading.Lock()
ran: Counter[str] = Counter()  #: how often each job ran, by its label
queued: list[Job] = []  #: what `only_stumbling` has queued


def forget() -> None:
    ran.clear()
    queued.clear()


def note(label: str) -> None:
    with _lock:
        ran[label] += 1


@job(queue="work", tries=3, retry=Backoff(first_seconds=30))
def good(context: Context, *, label: str) -> None:
    note(label)


@job(queue="work", tries=2, retry=Backoff(first_seconds=30))
def bad(context: Context, *, label: str) -> None:
    note(label)
    raise RuntimeError(f"{label} fails on purpose")


@job(queue="work", tries=3)
def refused(context: Context, *, label: str) -> None:
    note(label)
    raise AppError("this can never work")


@job(queue="work")
def partly(context: Context, *, label: str) -> Result:
    note(label)
    return Result(failed_units=2, errors=(LineError(7, "seven"), LineError(3, "three")))


@job(queue="work")
def noisy(context: Context, *, label: str) -> Result:
    """Two megabytes of errors that no compression makes small."""
    texts = (random.randbytes(500).hex() for _ in range(2_000))
    errors = tuple(LineError(line, f"why: {text}") for line, text in enumerate(texts, start=1))
    return Result(failed_units=len(errors), errors=errors)


@job(queue="work")
def grow(context: Context, *, batch_id: str, by: int) -> None:
    """A member that adds others to its own batch while it runs."""
    note("grow")
    tx = Transaction(context.tenant_id)
    seen = batches.get(context.tenant_id, batch_id)
    assert seen is not None
    joined = batches.join(tx, seen.batch)
    for number in range(by):
        tx.enqueue("batches.good", Delivery(batch=joined), label=f"grown-{number}")
    tx.commit()


@job(queue="work", timeout_seconds=20)
def then(context: Context, *, batch_id: str) -> None:
    note("then")


@job(queue="work")
def catch(context: Context, *, batch_id: str) -> None:
    note("catch")


@job(queue="work")
def finally_(context: Context, *, batch_id: str) -> None:
    note("finally")


@job(queue="work", tries=2, retry=Backoff(first_seconds=30), unique_for_seconds=3600)
def only(context: Context, *, label: str) -> None:
    note(label)
    if label.startswith("bad"):
        raise RuntimeError("on purpose")


@job(queue="work", tries=3, retry=Backoff(first_seconds=30), unique_for_seconds=3600)
def only_stumbling(context: Context, *, label: str) -> None:
    """Queues itself the first time, and fails the second time."""
    note(label)
    if ran[label] == 1:
        with Transaction(context.tenant_id) as tx:
            queued.append(tx.enqueue("batches.only_stumbling", label=label))
    if ran[label] == 2:
        raise RuntimeError("on purpose")
    note(f"{label} ran well")


@job(queue="work", unique_for_seconds=3600)
def only_again(context: Context, *, label: str) -> None:
    """Queues itself while it runs."""
    note(label)
    with Transaction(context.tenant_id) as tx:
        tx.enqueue("batches.only_again", label=label)


@job(queue="work", unique_for_seconds=3600, unique_until_start=True)
def only_waiting(context: Context, *, label: str) -> None:
    """Queues itself while it runs, which is allowed as it waits no more; three times in all."""
    note(label)
    if ran[label] < 3:
        with Transaction(context.tenant_id) as tx:
            tx.enqueue("batches.only_waiting", label=label)
