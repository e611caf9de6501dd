"""Batches: many jobs counted together, with progress and what follows the last of them.

A member's end and the batch's counters change in one transaction, so a message that is delivered
twice cannot count twice, and progress never goes back. Whoever sees the last unit done settles the
batch, by a condition, together with the jobs that follow: they are queued exactly when the batch
is settled, and that is once. A worker that dies between the two leaves the member's message in its
queue, and its next delivery settles.

Table `kernel`:  batch#<id>  Batch    batch-errors#<id>#<job>  Errors (compressed)
"""

import zlib
from typing import Any, Literal, cast

import msgspec
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError

from chalicelib.kernel import clock
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.jobs.ledger import SECONDS_IN_A_DAY, Job
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.jobs.registry import ErrorView, Result
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.failures import condition_failed
from chalicelib.kernel.store.records import KernelRecord, Number
from chalicelib.kernel.store.write_set import WriteSet

_BATCH = "batch#"
_ERRORS = "batch-errors#"
_LONGEST_DETAIL = 500
_MOST_ERROR_BYTES = 350_000  #: packed; DynamoDB's items end at 400 KB

Status = Literal["pending", "running", "done", "failed", "cancelled"]


class Batch(KernelRecord):
    """Row of a batch. `done` counts failures too."""

    status = UnicodeAttribute()  #: open, cancelled, done or failed
    total = Number()
    done = Number(default=0)
    failed = Number(default=0)
    refused = Number(default=0)  #: those of done that failed before anything was queued
    began_at_epoch = Number(null=True)  #: when the first member to end had been claimed
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
    """What went wrong in one member of a batch."""

    errors = BinaryAttribute(legacy_encoding=False)


class Progress(msgspec.Struct, frozen=True):
    """How far a batch is."""

    total: int  #: units
    done: int  #: units finished, failures included
    failed: int  #: those of done that failed
    percent: int  #: whole percent, 100 only when all is done
    status: Status
    eta_seconds: int  #: at the pace since work began; 0 until a tenth is worked, and at the end


class Joining(msgspec.Struct):
    """Members being added to a batch by one transaction."""

    batch: Batch
    units: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.batch.id

    def expect(self, job: Job) -> None:
        self.units[job.id] = int(job.units)
        self._recount(int(job.units))

    def withdraw(self, job: Job) -> None:
        """The job dropped out, as a unique one that was queued already."""
        self._recount(-self.units.pop(job.id, 0))

    def end(self) -> None:
        """The new batch gets no members: it has ended with the units that it was made with."""
        self.batch.status = _outcome(self.batch)
        self.batch.finished_at = self.batch.created_at

    def _recount(self, units: int) -> None:
        self.batch.total = int(self.batch.total) + units


class JoiningLater(Joining):
    """The same for a batch that runs already: its total grows by an action of the update."""

    actions: list[Any] = msgspec.field(default_factory=list)

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
    """A new batch in `tx`; members are added by `tx.enqueue(name, Delivery(batch=...), ...)`.

    `failed` are units that failed before anything was queued, such as unreadable lines.
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
    """Adds members to a batch that is not settled; the commit raises Conflict when it is."""
    batch = Batch(tx.tenant_id, _BATCH + batch_id, total=0)
    joining = JoiningLater(batch)
    settled = Conflict("The batch has ended")
    tx.update(batch, joining.actions, Batch.status == "open", settled)
    tx.batches.append(joining)
    return joining


def get(tenant_id: str, batch_id: str, *, consistent: bool = False) -> Batch | None:
    if not clock.is_id(batch_id):
        return None
    try:
        return Batch.get(tenant_id, _BATCH + batch_id, consistent_read=consistent)
    except Batch.DoesNotExist:
        return None


def errors_of(batch: Batch) -> list[ErrorView]:
    """Everything that went wrong so far, by line."""
    prefix = f"{_ERRORS}{batch.id}#"
    found = [
        each
        for row in Errors.query(batch.tenant, Errors.sk.startswith(prefix))
        for each in msgspec.json.decode(zlib.decompress(row.errors), type=list[ErrorView])
    ]
    return sorted(found, key=lambda each: (each.line or 0, each.job_id or ""))


def cancel(tenant_id: str, batch_id: str) -> bool:
    """Members that have not begun will end as `cancelled`; False when the batch has ended."""
    batch = Batch(tenant_id, _BATCH + batch_id)
    try:
        batch.update([Batch.status.set("cancelled")], condition=Batch.status == "open")
    except UpdateError as error:
        if condition_failed(error):
            return False
        raise
    return True


def is_cancelled(job: Job) -> bool:
    """True when the job belongs to a batch that was cancelled."""
    batch = get(str(job.tenant), job.batch_id) if job.batch_id else None
    return batch is not None and batch.status == "cancelled"


def count(tx: WriteSet, job: Job, status: str, reason: str | None, result: Result) -> None:
    """Adds the end of a member to the transaction that ends it."""
    batch = Batch(job.tenant, f"{_BATCH}{job.batch_id}")
    units = int(job.units)
    failed = units if status == "failed" else result.failed_units
    now = clock.epoch_seconds()
    # One that was cancelled while it waited has no lease.
    began_at = int(job.lease_until) - settings.lease_seconds if job.lease_until else now
    actions = [
        Batch.done.set(Batch.done + units),
        Batch.failed.set(Batch.failed + failed),
        Batch.began_at_epoch.set(Batch.began_at_epoch | began_at),
        Batch.counted_at_epoch.set(now),
    ]
    tx.update(batch, actions)
    told = [ErrorView(each.detail, line=each.line) for each in result.errors]
    if status == "failed":
        told.append(ErrorView(reason or "failed", job_id=job.id))
    if told:
        tx.save(_errors(batch, job.id, tuple(told)))


def settle(tenant_id: str, batch_id: str) -> None:
    """Ends the batch if its last unit is done, and queues what follows; safe to repeat."""
    batch = get(tenant_id, batch_id, consistent=True)
    if batch is None or batch.status != "open" or batch.done < batch.total:
        return
    tx = Transaction(tenant_id)
    tx.update(
        batch,
        [Batch.status.set(_outcome(batch)), Batch.finished_at.set(clock.iso(clock.now()))],
        (Batch.status == "open") & (Batch.total == batch.total),
        Conflict("settled by another worker, or grown meanwhile"),
    )
    for name in (batch.catch if batch.failed else batch.then, batch.finally_):
        if name:
            tx.enqueue(name, batch_id=batch.id)
    try:
        tx.commit()
    except Conflict:
        return  # whoever came between settles, or the members it added will


def progress(batch: Batch) -> Progress:
    """The batch's figures as clients see them; the same until a member ends."""
    total, done = int(batch.total), int(batch.done)
    status = str(batch.status)
    if status == "open":
        waiting = "running" if done > int(batch.refused) else "pending"
        status = _outcome(batch) if done >= total else waiting
    return Progress(
        total,
        done,
        int(batch.failed),
        100 if done >= total else done * 100 // total,
        cast("Status", status),
        _eta_seconds(batch) if status == "running" else 0,
    )


def _eta_seconds(batch: Batch) -> int:
    """At the pace from the first claim to the latest end, which the first of many jobs that run
    side by side does not tell: 0 until a tenth is worked.
    """
    left, worked = int(batch.total) - int(batch.done), int(batch.done) - int(batch.refused)
    if worked < (left + worked) / 10:
        return 0
    spent_seconds = int(batch.counted_at_epoch or 0) - int(batch.began_at_epoch or 0)
    return -(-max(1, spent_seconds) * left // worked)


def _outcome(batch: Batch) -> str:
    """Single errors leave a batch `done`; one of which nothing succeeded is `failed`."""
    return "failed" if batch.failed and batch.failed >= batch.total else "done"


def _errors(batch: Batch, part: str, told: tuple[ErrorView, ...]) -> Errors:
    expires = clock.epoch_seconds() + settings.retention_days * SECONDS_IN_A_DAY
    key = f"{_ERRORS}{batch.id}#{part}"
    return Errors(batch.tenant, key, errors=_packed(told), expires_at=expires)


def _packed(told: tuple[ErrorView, ...]) -> bytes:
    """What fits into a row: details are cut until it does, and each error keeps its line.

    A row too large could never be saved, and its member would never end.
    """
    packed, longest = b"", _LONGEST_DETAIL
    while longest and (not packed or len(packed) > _MOST_ERROR_BYTES):
        shown = [msgspec.structs.replace(each, detail=each.detail[:longest]) for each in told]
        packed, longest = zlib.compress(msgspec.json.encode(shown)), longest // 5
    return packed
