"""Unique jobs: of those with the same arguments that wait together, one runs for all.

Queueing one takes no lock, because requests that ask for the same job at the same time would
refuse each other. Copies are queued like other jobs, and each has a marker, a row that the same
transaction makes. The copy that is claimed first deletes the markers of the others and runs. They
find their marker gone when they are claimed, and end as `skipped`. The markers show what was
committed before the run began, so it does not matter whose clock is right.

A job that is unique while it runs holds a lock from its first claim to its end, but not for longer
than `unique_for_seconds` after its latest claim. Copies that are claimed meanwhile, or wait when it
ends as `done`, end as `skipped` too. With `unique_until_start` a job holds the lock only while it
deletes markers, so that two copies do not delete each other's. Nobody but the holder deletes
markers of others, so a holder that still has its own is going to run.

Markers have no time of expiry, because a job whose marker is gone does not run. The transaction
that ends a job deletes its marker. A lock is free when its holder has no marker, because it has
ended or another job ran in its place. So a crash anywhere costs at most another run.

Table `kernel`:  unique#<digest of type and arguments>         the lock
                 unique#<digest of type and arguments>#<job>   a marker
"""

import hashlib
from collections.abc import Iterable

import msgspec
from pynamodb.attributes import UnicodeAttribute

from chalicelib.kernel import clock
from chalicelib.kernel.errors import Retry
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.store import records
from chalicelib.kernel.store.records import KernelRecord, Number
from chalicelib.kernel.store.write_set import WriteSet

_LOOK_SECONDS = 30  #: reading and deleting markers takes no longer

SKIPPED = "the same job runs in its place"


class Row(KernelRecord):
    """The lock of a kind of job, or the marker of one job."""

    job_id = UnicodeAttribute(null=True)  #: of a lock: who holds it
    until = Number(null=True)  #: of a lock: epoch seconds when it expires
    #: of a marker: epoch seconds; only a job that runs after this time runs in its place
    not_before = Number(null=True)


class _Seen(msgspec.Struct, frozen=True):
    """The lock and the markers of a kind of job, as one of these jobs sees them."""

    is_marked: bool  #: this job still has its marker
    holds_lock: bool
    others: tuple[Row, ...]  #: markers of the other jobs whose time has come


def key_of(job: Job) -> str:
    """The same key for all jobs with this type and these arguments."""
    digest = hashlib.sha256(f"{job.type}\n{job.args}".encode()).hexdigest()[:40]
    return f"unique#{digest}"


def mark(tx: WriteSet, job: Job) -> None:
    """Adds the job's marker to the transaction that queues it."""
    job.unique_key = key_of(job)
    tx.create(Row(job.tenant, _marker_key(job), not_before=job.not_before))


def unmark(tx: WriteSet, job: Job) -> None:
    """Deletes the job's marker in the transaction that ends it."""
    tx.delete(Row(job.tenant, _marker_key(job)))


def enter(job: Job, run_seconds: int) -> bool:
    """True if the claimed job must run; False if another one runs in its place. Safe to repeat.

    A job that must run does so for all whose markers are there now. `run_seconds` is how long it
    may hold the lock while it runs; a job that finds the lock held does not run then. With 0 it
    holds the lock only during this call, which raises Retry while another job is in it.
    """
    if not _is_marked(job, job.id):  # most copies: they need no lock
        return False
    if not _take_lock(job, run_seconds or _LOOK_SECONDS):
        if run_seconds:
            return False
        raise Retry("the same job is just starting", after_seconds=1)
    seen = _look(job)
    if seen.is_marked:
        _delete(seen.others)
    if not (seen.is_marked and run_seconds):
        _release(job)
    return seen.is_marked


def take_along(job: Job) -> None:
    """Deletes the others' markers if the job, which has run well and not ended yet, holds the lock.

    Not after its end: one of the others could hold the lock by then, and run for yet others.
    """
    seen = _look(job)
    if seen.holds_lock and seen.is_marked:
        _delete(seen.others)


def leave(job: Job) -> None:
    """Releases the lock if the job, which has ended, holds it."""
    _release(job)


def _take_lock(job: Job, seconds: int) -> bool:
    now, tenant_id = clock.epoch_seconds(), str(job.tenant)
    actions = [Row.job_id.set(job.id), Row.until.set(now + seconds)]
    actions.append(Row.expires_at.set(now + seconds))
    row = Row(tenant_id, job.unique_key)
    if row.change_if(
        Row.sk.does_not_exist() | (Row.until <= now) | (Row.job_id == job.id), actions
    ):
        return True
    lock = records.read(Row, tenant_id, str(job.unique_key), consistent=True)
    if lock is None:  # released since
        return _take_lock(job, seconds)
    if _is_marked(job, str(lock.job_id)):
        return False
    # It is its own already if the SDK has repeated the call because its answer was lost.
    return row.change_if((Row.job_id == lock.job_id) | (Row.job_id == job.id), actions)


def _is_marked(job: Job, job_id: str) -> bool:
    """True if the job with this id, which is of the same kind as `job`, has its marker."""
    key = f"{job.unique_key}#{job_id}"
    return records.read(Row, str(job.tenant), key, consistent=True) is not None


def _release(job: Job) -> None:
    Row(job.tenant, job.unique_key).delete_if(Row.job_id == job.id)


def _look(job: Job) -> _Seen:
    now, own_key = clock.epoch_seconds(), _marker_key(job)
    prefix = Row.sk.startswith(str(job.unique_key))
    rows = {str(row.sk): row for row in Row.query(job.tenant, prefix, consistent_read=True)}
    lock, own = rows.pop(str(job.unique_key), None), rows.pop(own_key, None)
    others = tuple(row for row in rows.values() if int(row.not_before or 0) <= now)
    return _Seen(own is not None, lock is not None and lock.job_id == job.id, others)


def _delete(rows: Iterable[Row]) -> None:
    with KernelRecord.batch_write() as writing:
        for row in rows:
            writing.delete(row)


def _marker_key(job: Job) -> str:
    return f"{job.unique_key}#{job.id}"
