"""Ends a job: marks its row and counts it in its batch, in one transaction, and cleans up.

Cleaning up releases the lock of a unique job, settles the batch and calls the job's `when_ended`.
After a crash before it, a worker that meets the ended job again does the latter two; the lock
expires by itself.
"""

import contextlib

from chalicelib.kernel.errors import AppError
from chalicelib.kernel.jobs import batches, ledger, registry, unique
from chalicelib.kernel.jobs.group_commit import Group
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.registry import Result
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

    The mark of a job without a batch may share a call with others of `group`.
    """
    result = result or Result()

    def count(tx: WriteSet) -> None:
        batches.count(tx, job, status, reason, result)

    count_in_batch = count if job.batch_id else None
    if not ledger.finish(job, status, reason, also=count_in_batch, group=group, **result.marks):
        return False
    _clean_up(job)
    return True


def cancel(tenant_id: str, job_id: str) -> bool:
    """Ends a waiting job as `cancelled`; False when it is running, has ended, or does not exist.

    Nothing calls it yet; it is meant for operators' commands.
    """
    job = ledger.get(tenant_id, job_id, consistent=True)
    if job is None:
        return False
    is_cancelled = _cancel(job)
    if is_cancelled or job.ended:  # of an ended job it repeats what a crash may have left out
        _clean_up(job)
    return is_cancelled


def _cancel(job: Job) -> bool:
    tx = WriteSet()
    ledger.cancel(tx, job, _NotWaiting())
    if job.batch_id:
        batches.count(tx, job, "cancelled", None, Result())
    try:
        tx.commit()
    except _NotWaiting:
        return False
    return True


def _clean_up(job: Job) -> None:
    unique.release(job)
    follow(job)


def follow(job: Job) -> None:
    """Does what follows a job's end: settles its batch and calls `when_ended`; safe to repeat."""
    if job.batch_id:
        batches.settle(str(job.tenant), job.batch_id)
    with contextlib.suppress(registry.UnknownJob):  # another release's, cancelled by an operator
        when_ended = registry.find(job.type).when_ended
        if when_ended is not None:
            when_ended(job)
