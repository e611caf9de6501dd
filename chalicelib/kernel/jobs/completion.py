"""The end of a job: its row, its batch and its marker change in one transaction; then the rest.

The rest is: release the lock of a unique job, settle the batch, call the job's `when_ended`. If a
crash prevents it, a worker that gets the job's message again settles and calls `when_ended`; the
lock of a job that has ended holds nobody up.
"""

from collections.abc import Callable

from chalicelib.kernel import telemetry
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.jobs import batches, ledger, registry, unique
from chalicelib.kernel.jobs.group_commit import Group
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.registry import Result
from chalicelib.kernel.jobs.tally import Uncounted
from chalicelib.kernel.store.write_set import WriteSet


class _NotWaiting(AppError):  # never leaves this module
    """The job is running or has ended"""

    STATUS = 409


def end(
    job: Job,
    status: str,
    reason: str | None,
    result: Result | None = None,
    group: Group | None = None,
) -> bool:
    """Ends a claimed job; False, and no change, when another worker has taken it over.

    The mark of a job that is neither unique nor in a batch may share a call with others of `group`.
    """
    result = result or Result()
    if job.unique_key and status == "done":
        unique.take_along(job)

    def finish(*, counts: bool) -> bool:
        also = _also(job, status, reason, result, counts=counts)
        return ledger.finish(job, status, reason, also=also, group=group, **result.marks)

    if not _counted_if_possible(job, finish):
        return False
    if job.unique_key:
        unique.leave(job)
    follow(job)
    return True


def cancel(tenant_id: str, job_id: str) -> bool:
    """Ends a waiting job as `cancelled`; False when it is running, has ended, or does not exist.

    For domains that take a job for later back, and for operators' commands; neither calls it yet.
    """
    job = ledger.get(tenant_id, job_id, consistent=True)
    if job is None:
        return False

    def finish(*, counts: bool) -> bool:
        tx = WriteSet()
        ledger.cancel(tx, job, _NotWaiting())
        if also := _also(job, "cancelled", None, Result(), counts=counts):
            also(tx)
        try:
            tx.commit()
        except _NotWaiting:
            return False
        return True

    is_cancelled = _counted_if_possible(job, finish)
    if is_cancelled or job.ended:  # if it had ended: a crash may have left this out
        if job.unique_key:
            unique.leave(job)
        follow(job)
    return is_cancelled


def _counted_if_possible(job: Job, finish: Callable[..., bool]) -> bool:
    try:
        return finish(counts=True)
    except Uncounted:
        telemetry.log.warning("its batch is gone", job=job.id, batch=job.batch_id)
        return finish(counts=False)


def _also(
    job: Job, status: str, reason: str | None, result: Result, *, counts: bool
) -> Callable[[WriteSet], None] | None:
    """What changes in the transaction that ends the job; None if nothing does."""
    in_batch = counts and job.batch_id
    if not (in_batch or job.unique_key):
        return None

    def add(tx: WriteSet) -> None:
        if job.unique_key:
            unique.unmark(tx, job)
        if in_batch:
            batches.count(tx, job, status, reason, result)

    return add


def follow(job: Job) -> None:
    """Does what follows a job's end: settles its batch and calls `when_ended`; safe to repeat."""
    if job.batch_id:
        batches.settle(str(job.tenant), job.batch_id)
    try:
        when_ended = registry.find(job.type).when_ended
    except registry.UnknownJob:  # a job of another release, which an operator has cancelled
        return
    if when_ended is not None:
        when_ended(job)
