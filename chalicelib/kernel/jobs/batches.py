"""Batches: jobs that are counted together, with progress and jobs that follow the last of them.

A member's end and the batch's counters (`tally.py`) change in one transaction, so a message that is
delivered twice cannot count twice, and progress never goes back by itself. Whoever ends a member
then reads all the counters, and whoever sees that all units are done settles the batch: one
transaction ends it and queues the jobs that follow, on the condition that nothing was counted or
taken back since. So they are queued exactly once. A worker that dies between the two transactions
leaves the member's message in its queue, and the next delivery settles.

A batch has no time of expiry until it has settled, however long its members wait.
"""

import contextlib
from typing import Any, Literal, cast

import msgspec

from chalicelib.kernel import clock
from chalicelib.kernel.errors import AppError, Conflict
from chalicelib.kernel.jobs import batch_errors, tally
from chalicelib.kernel.jobs.batch_errors import Errors
from chalicelib.kernel.jobs.ledger import SECONDS_IN_A_DAY, Job
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.jobs.registry import ErrorView, Result
from chalicelib.kernel.jobs.tally import MOST_SHARDS, PREFIX, Batch, Tally
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import records
from chalicelib.kernel.store.write_set import WriteSet

Status = Literal["pending", "running", "done", "failed", "cancelled"]


class Progress(msgspec.Struct, frozen=True):
    """The progress of a batch."""

    total: int  #: units
    done: int  #: finished units, failures included
    failed: int  #: failed units
    percent: int  #: whole percent, 100 only when all is done
    status: Status
    eta_seconds: int  #: at the pace so far; 0 until a tenth is done, and at the end


class Joining(msgspec.Struct):
    """The members that one transaction adds to a new batch."""

    batch: Batch
    tx: Transaction
    refusals: Errors | None = None  #: row of the units that failed before anything was queued
    members: int = 0

    @property
    def id(self) -> str:
        return self.batch.id

    def expect(self, job: Job) -> None:
        """Counts the job as a member, and adds a shard if there are fewer than `MOST_SHARDS`."""
        self.members += 1
        self.spread(self.members)
        job.batch_shard = self.batch.shard_of(job.id)
        self.batch.total = int(self.batch.total) + int(job.units)

    def spread(self, jobs: int) -> None:
        """Adds shards until there is one for each of so many members, or `MOST_SHARDS`."""
        batch = self.batch
        while int(batch.shards) < min(jobs, MOST_SHARDS):
            self.tx.create(tally.shard(str(batch.tenant), batch.id, int(batch.shards)))
            batch.shards = int(batch.shards) + 1

    def end(self) -> None:
        """Ends a new batch that gets no members: all its units failed before."""
        self.batch.status = _outcome(Tally(self.batch))
        self.batch.finished_at = self.batch.created_at
        self.batch.expires_at = _expiry()
        if self.refusals is not None:
            self.refusals.expires_at = _expiry()


class JoiningLater(msgspec.Struct):
    """The members that one transaction adds to a batch that exists."""

    batch: Batch
    actions: list[Any] = msgspec.field(default_factory=list)  #: of the update that raises the total
    units: int = 0

    @property
    def id(self) -> str:
        return self.batch.id

    def expect(self, job: Job) -> None:
        """Counts the job as a member."""
        job.batch_shard = self.batch.shard_of(job.id)
        self.units += int(job.units)
        self.actions[:] = [Batch.total.set(Batch.total + self.units)]


def create(
    tx: Transaction,
    *,
    failed: tuple[ErrorView, ...] = (),
    jobs: int = 0,
    then: str | None = None,
    catch: str | None = None,
    finally_: str | None = None,
) -> Joining:
    """Adds a new batch to `tx`; its members are queued by `tx.enqueue(name, Delivery(batch=...))`.

    `failed` are units that failed before anything was queued, such as unreadable lines. `jobs` is
    about how many members it will have, if most of them join later. When all is done, the job
    `catch` is queued if a unit failed, else `then`; `finally_` in both cases. They get the argument
    `batch_id`. Campaigns will use these three.

    The batch takes one of the transaction's 100 actions, one more if anything has failed, and one
    for every shard. There are as many shards as members or, if that is more, `jobs`; at most 16.
    """
    now = clock.now()
    batch = Batch(
        tx.tenant_id,
        PREFIX + clock.new_id(),
        status="open",
        total=len(failed),
        done=len(failed),
        failed=len(failed),
        refused=len(failed),
        shards=0,
        then=then,
        catch=catch,
        finally_=finally_,
        created_at=clock.iso(now),
        created_at_epoch=int(now.timestamp()),
    )
    tx.create(batch)
    refusals = batch_errors.row(tx.tenant_id, batch.id, "0", failed) if failed else None
    if refusals is not None:
        tx.create(refusals)
    joining = Joining(batch, tx, refusals)
    joining.spread(jobs)
    return joining


def join(tx: Transaction, batch: Batch) -> JoiningLater:
    """Adds members to an open batch; the commit raises Conflict when it has ended.

    Transactions that join the same batch at the same time meet on its row: queue members of a large
    batch from one job after the other. Campaigns will call this.
    """
    joining = JoiningLater(batch)
    row = Batch(tx.tenant_id, batch.sk, total=0)
    is_open = (Batch.status == "open") & Batch.finished_at.does_not_exist()
    tx.update(row, joining.actions, is_open, Conflict("The batch has ended"))
    return joining


def get(tenant_id: str, batch_id: str, *, consistent: bool = False) -> Tally | None:
    """The batch and its counters, by one Query; None if it does not exist."""
    return tally.read(tenant_id, batch_id, consistent=consistent)


def errors_of(batch: Batch) -> list[ErrorView]:
    """All errors so far, in the order of lines."""
    return batch_errors.of_batch(str(batch.tenant), batch.id)


def cancel(tenant_id: str, batch_id: str) -> bool:
    """Cancels an open batch: members that have not begun will end as `cancelled`.

    False when the batch has ended or does not exist. Operators' commands will call this.
    """
    batch = Batch(tenant_id, PREFIX + batch_id)
    return batch.change_if(Batch.status == "open", [Batch.status.set("cancelled")])


def is_cancelled(job: Job) -> bool:
    """True when the job belongs to a batch that was cancelled."""
    if not job.batch_id:
        return False
    batch = records.read(Batch, str(job.tenant), f"{PREFIX}{job.batch_id}")
    return batch is not None and batch.status == "cancelled"


def count(tx: WriteSet, job: Job, status: str, reason: str | None, result: Result) -> None:
    """Counts the end of a member, in the transaction that ends it.

    The commit raises `tally.Uncounted`, and makes no row, when the batch is gone.
    """
    failed = int(job.units) if status == "failed" else result.failed_units
    errors = batch_errors.of_member(job, status, reason, result)
    tally.count(tx, job, failed=failed, has_errors=bool(errors))
    if errors:
        tx.save(batch_errors.row(str(job.tenant), str(job.batch_id), job.id, errors))


def take_back(tx: WriteSet, job: Job, error: AppError) -> None:
    """Takes an ended member out of the batch, errors included, because it will run once more.

    Its next end is counted again. The commit raises `error`, and changes nothing, when the batch
    has settled or is gone: then the member stays counted for good. `tx` must also make the job wait
    again, on the condition that it has ended, so that it is taken back once. Operators' retries
    will call this.
    """
    failed = int(job.units) if job.status == "failed" else 0
    tally.take_back(tx, job, failed=failed, error=error)
    tx.delete(batch_errors.row(str(job.tenant), str(job.batch_id), job.id, ()))


def settle(tenant_id: str, batch_id: str) -> None:
    """Ends the batch if all units are done, and queues the jobs that follow; safe to repeat.

    A batch that was cancelled stays `cancelled`, and nothing follows it.
    """
    while True:
        seen = get(tenant_id, batch_id, consistent=True)
        if seen is None or seen.batch.finished_at or seen.done < seen.total:
            return
        with contextlib.suppress(Conflict):  # it has changed since it was read, maybe by `cancel`
            _settle(tenant_id, seen)
            return


def _settle(tenant_id: str, seen: Tally) -> None:
    """Ends a batch of which all is done; raises Conflict if it has changed since it was read."""
    batch, tx, expiry = seen.batch, Transaction(tenant_id), _expiry()
    error = Conflict("It was settled or cancelled, or more was queued or taken back")
    is_unchanged = tally.unchanged(batch) & (Batch.status == batch.status)
    tx.update(
        batch,
        [
            Batch.status.set(batch.status if batch.status == "cancelled" else _outcome(seen)),
            Batch.finished_at.set(clock.iso(clock.now())),
            Batch.expires_at.set(expiry),
        ],
        is_unchanged & Batch.finished_at.does_not_exist() & (Batch.total == batch.total),
        error,
    )
    for shard in seen.shards:
        tx.update(shard, [tally.Shard.expires_at.set(expiry)], tally.unchanged(shard), error)
    if batch.status != "cancelled":
        for name in (batch.catch if seen.failed else batch.then, batch.finally_):
            if name:
                tx.enqueue(name, batch_id=batch.id)
    if seen.has_errors:
        tx.enqueue("kernel.expire_errors", batch_id=batch.id, at=expiry)
    tx.commit()


def progress(seen: Tally) -> Progress:
    """The progress as clients see it; it only changes when a member ends or is taken back."""
    total, done, status = seen.total, seen.done, str(seen.batch.status)
    if status == "open":
        unfinished = "running" if done > seen.refused else "pending"
        status = _outcome(seen) if done >= total else unfinished
    return Progress(
        total,
        done,
        seen.failed,
        100 if done >= total else done * 100 // total,
        cast("Status", status),
        _eta_seconds(seen) if status == "running" else 0,
    )


def _eta_seconds(seen: Tally) -> int:
    """Seconds left at the pace from the first claim to the latest end.

    0 until a tenth is done, because the first of many jobs that run side by side shows no pace.
    """
    left, finished = seen.total - seen.done, seen.done - seen.refused
    if finished < (left + finished) / 10:
        return 0
    spent_seconds = seen.counted_at - seen.began_at
    return -(-max(1, spent_seconds) * left // finished)


def _outcome(seen: Tally) -> str:
    """`failed` if every unit failed; single errors leave a batch `done`."""
    return "failed" if seen.failed and seen.failed >= seen.total else "done"


def _expiry() -> int:
    return clock.epoch_seconds() + settings.retention_days * SECONDS_IN_A_DAY
