"""Batches: jobs that are counted together, with progress and jobs that follow the last of them.

A member's end and the batch's counters change in one transaction, so a message that is delivered
twice cannot count twice, and progress never goes back. The worker that sees the last unit done
settles the batch: one conditional transaction ends it and queues the jobs that follow, so they are
queued exactly once. A worker that dies between the two transactions leaves the member's message in
its queue, and the next delivery settles.

Table `kernel`:  batch#<id>  Batch    batch-errors#<id>#<job>  Errors (compressed)
"""

import zlib
from typing import Any, Literal, cast

import msgspec
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute

from chalicelib.kernel import clock
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.jobs.ledger import SECONDS_IN_A_DAY, Job
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.jobs.registry import ErrorView, Result
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import records
from chalicelib.kernel.store.records import KernelRecord, Number
from chalicelib.kernel.store.write_set import WriteSet

_BATCH = "batch#"
_ERRORS = "batch-errors#"
_MAX_DETAIL_LENGTH = 500  #: characters
_MAX_ERRORS_BYTES = 350_000  #: compressed; an item in DynamoDB may have 400 KB

Status = Literal["pending", "running", "done", "failed", "cancelled"]


class Batch(KernelRecord):
    """Row of a batch, counted in units. `done` includes failures."""

    status = UnicodeAttribute()  #: open, cancelled, done or failed
    total = Number()
    done = Number(default=0)
    failed = Number(default=0)
    refused = Number(default=0)  #: units of `done` that failed before anything was queued
    began_at_epoch = Number(null=True)  #: when the member that ended first was claimed
    counted_at_epoch = Number(null=True)  #: when the latest member ended
    then = UnicodeAttribute(null=True)  #: job queued when all is done and nothing failed
    catch = UnicodeAttribute(null=True)  #: job queued when all is done and something failed
    finally_ = UnicodeAttribute(null=True, attr_name="finally")  #: job queued in both cases
    created_at = UnicodeAttribute()
    created_at_epoch = Number()
    finished_at = UnicodeAttribute(null=True)

    @property
    def id(self) -> str:
        return str(self.sk).removeprefix(_BATCH)


class Errors(KernelRecord):
    """Row with the errors of one member of a batch."""

    errors = BinaryAttribute(legacy_encoding=False)


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
    units: dict[str, int] = msgspec.field(default_factory=dict)  #: by job id

    @property
    def id(self) -> str:
        return self.batch.id

    def expect(self, job: Job) -> None:
        """Counts the job as a member."""
        self.units[job.id] = int(job.units)
        self._recount(int(job.units))

    def withdraw(self, job: Job) -> None:
        """Takes the job out of the count: a unique one that was queued already."""
        self._recount(-self.units.pop(job.id, 0))

    def end(self) -> None:
        """Ends a new batch that gets no members: all its units failed before."""
        self.batch.status = _outcome(self.batch)
        self.batch.finished_at = self.batch.created_at

    def _recount(self, units: int) -> None:
        self.batch.total = int(self.batch.total) + units


class JoiningLater(Joining):
    """The members that one transaction adds to a batch that exists."""

    actions: list[Any] = msgspec.field(default_factory=list)  #: of the update that raises the total

    def _recount(self, units: int) -> None:
        del units
        self.actions[:] = [Batch.total.set(Batch.total + sum(self.units.values()))]


def create(
    tx: Transaction,
    *,
    failed: tuple[ErrorView, ...] = (),
    then: str | None = None,
    catch: str | None = None,
    finally_: str | None = None,
) -> Joining:
    """Adds a new batch to `tx`; its members are queued by `tx.enqueue(name, Delivery(batch=...))`.

    `failed` are units that failed before anything was queued, such as unreadable lines. When all is
    done, the job `catch` is queued if a unit failed, else `then`; `finally_` in both cases. They
    get the argument `batch_id`. Campaigns will use these three.
    """
    now = clock.now()
    batch = Batch(
        tx.tenant_id,
        _BATCH + clock.new_id(),
        status="open",
        total=len(failed),
        done=len(failed),
        failed=len(failed),
        refused=len(failed),
        then=then,
        catch=catch,
        finally_=finally_,
        created_at=clock.iso(now),
        created_at_epoch=int(now.timestamp()),
        expires_at=int(now.timestamp()) + settings.retention_days * SECONDS_IN_A_DAY,
    )
    tx.create(batch)
    if failed:
        tx.create(_errors(batch, "0", failed))
    joining = Joining(batch)
    tx.batches.append(joining)
    return joining


def join(tx: Transaction, batch_id: str) -> Joining:
    """Adds members to an open batch; the commit raises Conflict when it has ended.

    Campaigns will call this.
    """
    batch = Batch(tx.tenant_id, _BATCH + batch_id, total=0)
    joining = JoiningLater(batch)
    tx.update(batch, joining.actions, Batch.status == "open", Conflict("The batch has ended"))
    tx.batches.append(joining)
    return joining


def get(tenant_id: str, batch_id: str, *, consistent: bool = False) -> Batch | None:
    if not clock.is_id(batch_id):
        return None
    return records.read(Batch, tenant_id, _BATCH + batch_id, consistent=consistent)


def errors_of(batch: Batch) -> list[ErrorView]:
    """All errors so far, in the order of lines."""
    prefix = f"{_ERRORS}{batch.id}#"
    errors = [
        error
        for row in Errors.query(batch.tenant, Errors.sk.startswith(prefix))
        for error in msgspec.json.decode(zlib.decompress(row.errors), type=list[ErrorView])
    ]
    return sorted(errors, key=lambda error: (error.line or 0, error.job_id or ""))


def cancel(tenant_id: str, batch_id: str) -> bool:
    """Cancels an open batch: members that have not begun will end as `cancelled`.

    False when the batch has ended or does not exist. Operators' commands will call this.
    """
    batch = Batch(tenant_id, _BATCH + batch_id)
    return batch.change_if(Batch.status == "open", [Batch.status.set("cancelled")])


def is_cancelled(job: Job) -> bool:
    """True when the job belongs to a batch that was cancelled."""
    batch = get(str(job.tenant), job.batch_id) if job.batch_id else None
    return batch is not None and batch.status == "cancelled"


def count(tx: WriteSet, job: Job, status: str, reason: str | None, result: Result) -> None:
    """Counts the end of a member, in the transaction that ends it."""
    batch = Batch(job.tenant, f"{_BATCH}{job.batch_id}")
    units = int(job.units)
    failed = units if status == "failed" else result.failed_units
    now = clock.epoch_seconds()
    # A job that was cancelled while it waited has no lease.
    began_at = int(job.lease_until) - settings.lease_seconds if job.lease_until else now
    actions = [
        Batch.done.set(Batch.done + units),
        Batch.failed.set(Batch.failed + failed),
        Batch.began_at_epoch.set(Batch.began_at_epoch | began_at),
        Batch.counted_at_epoch.set(now),
    ]
    tx.update(batch, actions)
    errors = [ErrorView(error.detail, line=error.line) for error in result.errors]
    if status == "failed":
        errors.append(ErrorView(reason or "failed", job_id=job.id))
    if errors:
        tx.save(_errors(batch, job.id, tuple(errors)))


def settle(tenant_id: str, batch_id: str) -> None:
    """Ends the batch if all units are done, and queues the jobs that follow; safe to repeat."""
    batch = get(tenant_id, batch_id, consistent=True)
    if batch is None or batch.status != "open" or batch.done < batch.total:
        return
    tx = Transaction(tenant_id)
    tx.update(
        batch,
        [Batch.status.set(_outcome(batch)), Batch.finished_at.set(clock.iso(clock.now()))],
        (Batch.status == "open") & (Batch.total == batch.total),
        Conflict("The batch was settled by another worker, or has more members now"),
    )
    for name in (batch.catch if batch.failed else batch.then, batch.finally_):
        if name:
            tx.enqueue(name, batch_id=batch.id)
    try:
        tx.commit()
    except Conflict:
        return  # the other worker settles, or the new members will


def progress(batch: Batch) -> Progress:
    """The progress as clients see it; it only changes when a member ends."""
    total, done = int(batch.total), int(batch.done)
    status = str(batch.status)
    if status == "open":
        unfinished = "running" if done > int(batch.refused) else "pending"
        status = _outcome(batch) if done >= total else unfinished
    return Progress(
        total,
        done,
        int(batch.failed),
        100 if done >= total else done * 100 // total,
        cast("Status", status),
        _eta_seconds(batch) if status == "running" else 0,
    )


def _eta_seconds(batch: Batch) -> int:
    """Seconds left at the pace from the first claim to the latest end.

    0 until a tenth is done, because the first of many jobs that run side by side shows no pace.
    """
    left, finished = int(batch.total) - int(batch.done), int(batch.done) - int(batch.refused)
    if finished < (left + finished) / 10:
        return 0
    spent_seconds = int(batch.counted_at_epoch or 0) - int(batch.began_at_epoch or 0)
    return -(-max(1, spent_seconds) * left // finished)


def _outcome(batch: Batch) -> str:
    """`failed` if every unit failed; single errors leave a batch `done`."""
    return "failed" if batch.failed and batch.failed >= batch.total else "done"


def _errors(batch: Batch, part: str, errors: tuple[ErrorView, ...]) -> Errors:
    expires = clock.epoch_seconds() + settings.retention_days * SECONDS_IN_A_DAY
    key = f"{_ERRORS}{batch.id}#{part}"
    return Errors(batch.tenant, key, errors=_packed(errors), expires_at=expires)


def _packed(errors: tuple[ErrorView, ...]) -> bytes:
    """The errors, compressed. Details are shortened until the row fits, and no error is dropped.

    A row that is too large could not be saved, and its member would never end.
    """
    packed, length = b"", _MAX_DETAIL_LENGTH
    while length and (not packed or len(packed) > _MAX_ERRORS_BYTES):
        cut = [msgspec.structs.replace(error, detail=error.detail[:length]) for error in errors]
        packed, length = zlib.compress(msgspec.json.encode(cut)), length // 5
    return packed
