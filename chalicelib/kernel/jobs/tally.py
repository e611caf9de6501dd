"""The tally of a batch: how many of its units are done, spread over several rows.

DynamoDB refuses a transaction that meets another one on an item. If the end of every member changed
one row, members that end at about the same time would refuse each other. So the counters of a
batch are spread over shards, up to `MOST_SHARDS` rows. A member's row names the one that counts it.

Every change of a row of counters raises its `changes`. So whoever has read all of them can write on
the condition that nothing was counted since.

Table `kernel`:  batch#<id>  Batch    batch#<id>#<number>  Shard
"""

import zlib
from collections.abc import Iterable
from typing import Any

import msgspec
from pynamodb.attributes import UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.records import KernelRecord, Number
from chalicelib.kernel.store.write_set import WriteSet

PREFIX = "batch#"
#: A batch, its shards, 40 members with a row of data for each, and what the request adds fit into
#: one transaction of 100 actions. 16 transactions of 15 ms side by side are 1,000 a second.
MOST_SHARDS = 16


class Counters(KernelRecord):
    """Counters of a batch or a shard, in units. `done` includes failures."""

    done = Number(default=0)
    failed = Number(default=0)
    began_at_epoch = Number(null=True)  #: when the member that ended first was claimed
    counted_at_epoch = Number(null=True)  #: when the latest member ended
    error_rows = Number(null=True)  #: how many of the members have errors to show
    changes = Number(null=True)  #: how often something was counted or taken back


class Shard(Counters):
    """Row that counts some of a batch's members."""


class Batch(Counters):
    """Row of a batch.

    Its own counters hold the units that failed before anything was queued. In a batch that was made
    before there were shards they hold all units.
    """

    status = UnicodeAttribute()  #: open, cancelled, done or failed
    total = Number()
    refused = Number(default=0)  #: units of `done` that failed before anything was queued
    shards = Number(default=0)  #: how many rows count its members
    then = UnicodeAttribute(null=True)  #: job queued when all is done and nothing failed
    catch = UnicodeAttribute(null=True)  #: job queued when all is done and something failed
    finally_ = UnicodeAttribute(null=True, attr_name="finally")  #: job queued in both cases
    created_at = UnicodeAttribute()
    created_at_epoch = Number()
    finished_at = UnicodeAttribute(null=True)

    @property
    def id(self) -> str:
        return str(self.sk).removeprefix(PREFIX)

    def shard_of(self, job_id: str) -> int | None:
        """The number of the shard that counts this member; None: the batch's own row."""
        count = int(self.shards or 0)
        return zlib.crc32(job_id.encode()) % count if count else None


class Tally(msgspec.Struct, frozen=True):
    """A batch and all its counters, as they were at one moment."""

    batch: Batch
    shards: tuple[Shard, ...] = ()

    @property
    def rows(self) -> tuple[Counters, ...]:
        return self.batch, *self.shards

    @property
    def total(self) -> int:
        return int(self.batch.total)

    @property
    def done(self) -> int:
        return sum(int(row.done or 0) for row in self.rows)

    @property
    def failed(self) -> int:
        return sum(int(row.failed or 0) for row in self.rows)

    @property
    def refused(self) -> int:
        return int(self.batch.refused or 0)

    @property
    def has_errors(self) -> bool:
        return self.failed > 0 or any(row.error_rows for row in self.rows)

    @property
    def began_at(self) -> int:
        """Epoch seconds of the first claim; 0 before it."""
        return min(_known(row.began_at_epoch for row in self.rows), default=0)

    @property
    def counted_at(self) -> int:
        """Epoch seconds of the latest end; 0 before it."""
        return max(_known(row.counted_at_epoch for row in self.rows), default=0)


def _known(times: Iterable[Any]) -> list[int]:
    return [int(time) for time in times if time is not None]


class Uncounted(AppError):
    """The batch of this job is gone"""

    STATUS = 409
    PRIORITY = 2  #: ClaimLost comes before it: then the count is another worker's matter


def shard(tenant_id: str, batch_id: str, number: int) -> Shard:
    return Shard(tenant_id, f"{PREFIX}{batch_id}#{number}")


def read(tenant_id: str, batch_id: str, *, consistent: bool) -> Tally | None:
    """The batch with all its counters, by one Query; None if it does not exist."""
    if not clock.is_id(batch_id):
        return None
    pages = Batch.query(
        tenant_id, Batch.sk.startswith(PREFIX + batch_id), consistent_read=consistent
    ).page_iter
    items = [item for page in pages for item in page["Items"]]
    if not items or items[0]["sk"]["S"] != PREFIX + batch_id:
        return None
    shards = tuple(Shard.from_raw_data(item) for item in items[1:])
    return Tally(Batch.from_raw_data(items[0]), shards)


def count(tx: WriteSet, job: Job, *, failed: int, has_errors: bool) -> None:
    """Counts the end of a member, in the transaction that ends it.

    The commit raises Uncounted when the counters are gone; it makes no new row.
    """
    now = clock.epoch_seconds()
    # A job that was cancelled while it waited has no lease.
    began_at = int(job.lease_until) - settings.lease_seconds if job.lease_until else now
    actions = [
        Counters.done.set((Counters.done | 0) + int(job.units)),
        Counters.failed.set((Counters.failed | 0) + failed),
        Counters.began_at_epoch.set(Counters.began_at_epoch | began_at),
        Counters.counted_at_epoch.set(now),
        *_one_more_change(),
    ]
    if has_errors:
        actions.append(Counters.error_rows.set((Counters.error_rows | 0) + 1))
    tx.update(_row_of(job), actions, Counters.sk.exists(), Uncounted())


def take_back(tx: WriteSet, job: Job, *, failed: int, error: AppError) -> None:
    """Takes an ended member out of the tally; the commit raises `error` when the batch has settled.

    A batch that is gone counts as settled.
    """
    actions = [
        Counters.done.set(Counters.done - int(job.units)),
        Counters.failed.set(Counters.failed - failed),
        *_one_more_change(),
    ]
    is_open = Counters.sk.exists() & Counters.expires_at.does_not_exist()
    tx.update(_row_of(job), actions, is_open, error)


def unchanged(row: Counters) -> Condition:
    """The condition that nothing was counted or taken back in this row since it was read."""
    never: Condition = Counters.changes.does_not_exist()
    return never & Counters.sk.exists() if row.changes is None else Counters.changes == row.changes


def _row_of(job: Job) -> Counters:
    shard_key = "" if job.batch_shard is None else f"#{job.batch_shard}"
    return Counters(job.tenant, f"{PREFIX}{job.batch_id}{shard_key}")


def _one_more_change() -> list[Action]:
    return [Counters.changes.set((Counters.changes | 0) + 1)]
