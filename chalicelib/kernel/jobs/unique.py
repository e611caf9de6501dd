"""Unique jobs: while one waits or runs, a second with the same arguments is not queued.

The transaction that queues the job also writes a lock row, so of two at the same time only one is
saved. The lock is released when the job ends (or starts), and expires in any case, so a crash
before the release only delays the next job. The shop will use unique jobs.
"""

import hashlib

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DeleteError

from chalicelib.kernel import clock
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.store.failures import condition_failed
from chalicelib.kernel.store.records import KernelRecord, Number
from chalicelib.kernel.store.write_set import WriteSet


class Lock(KernelRecord):
    """Row of a lock: keys (tenant, "unique#" + digest of type and arguments)."""

    job_id = UnicodeAttribute()
    until = Number()  #: epoch seconds when the lock expires


class AlreadyQueued(AppError):
    """Such a job is already waiting or running"""

    STATUS = 409
    PRIORITY = 2  #: any other failed condition comes first

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job


def key_of(job: Job) -> str:
    """The same key for all jobs with this type and these arguments."""
    digest = hashlib.sha256(f"{job.type}\n{job.args}".encode()).hexdigest()[:40]
    return f"unique#{digest}"


def lock(tx: WriteSet, job: Job, seconds: int, error: AlreadyQueued) -> None:
    """Adds the job's lock to the transaction that queues it."""
    job.unique_key = key_of(job)
    now = clock.epoch_seconds()
    row = Lock(job.tenant, job.unique_key, job_id=job.id, until=now + seconds)
    row.expires_at = now + seconds
    tx.save(row, Lock.sk.does_not_exist() | (Lock.until <= now), error)


def release(job: Job) -> None:
    """Deletes the job's lock, unless another job holds it by now; safe to repeat."""
    if not job.unique_key:
        return
    try:
        Lock(job.tenant, job.unique_key).delete(condition=Lock.job_id == job.id)
    except DeleteError as error:
        if not condition_failed(error):
            raise
