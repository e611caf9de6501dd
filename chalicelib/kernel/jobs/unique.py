"""Unique jobs: while one waits or runs, a second with the same arguments is not queued.

A lock row in the transaction that queues the job decides, so of two that come together one is
saved. It is released when the job ends (or starts), and at the latest when its time is over: a
crash between the two can only delay the next one.
"""

import hashlib
from typing import Protocol

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
    until = Number()  #: epoch seconds


class AlreadyQueued(AppError):
    """Such a job waits or runs already"""

    STATUS = 409
    PRIORITY = 2  #: whatever else failed matters more

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job


class Declaration(Protocol):
    """What this module needs to know of a declared job."""

    @property
    def unique_until_start(self) -> bool: ...


def key_of(job: Job) -> str:
    """The key that all jobs of this type with these arguments share."""
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
    """Gives the lock back if it is still this job's."""
    if not job.unique_key:
        return
    try:
        Lock(job.tenant, job.unique_key).delete(condition=Lock.job_id == job.id)
    except DeleteError as error:
        if not condition_failed(error):
            raise
