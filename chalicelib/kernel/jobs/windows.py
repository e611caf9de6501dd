"""Windows: work of many jobs has at most `MOST_JOBS` of them queued and not ended at a time.

Such work is a batch whose members queue the jobs: its parts, such as the chunks of an import. The
parts take turns in their order. A part queues jobs while there is room, and otherwise waits; its
end brings the next part forward. One row says how far the work has come. It changes in the
transactions that queue the jobs, so a part that runs again goes on where it stopped. Which jobs
have ended is read in the ledger: a job knows of no window, and its end costs no further call.

Table `kernel`:  window#<batch id>  Window
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from pynamodb.attributes import ListAttribute, UnicodeAttribute

from chalicelib.kernel import clock
from chalicelib.kernel.errors import Later, Retry
from chalicelib.kernel.jobs import ledger, outbox
from chalicelib.kernel.jobs.ledger import PREFIX, Job
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.jobs.registry import Context
from chalicelib.kernel.store import records
from chalicelib.kernel.store.records import KernelRecord, Number

MOST_JOBS = 200  #: jobs of a window that have not ended, with the part that queues them
#: Lambda stops a chain of about sixteen invocations, and the end of a part pushes the next one.
MOST_PARTS = 12

_WINDOW = "window#"
#: A part comes by itself after this time if the part before it has not brought it forward.
_FALLBACK_SECONDS = 3600
_TURN_SECONDS = 300  #: pause of a part that came although it is not its turn
_SHORTEST_PAUSE_SECONDS = 2
_LONGEST_PAUSE_SECONDS = 300
_RESERVE_SECONDS = 5  #: of an attempt's time that is left for the transaction under way


class Window(KernelRecord):
    """Row of a window: keys (tenant, "window#" + batch id). Deleted when all parts have ended."""

    parts: ListAttribute[Any] = ListAttribute()  #: ids of the parts' jobs, in their order
    part = UnicodeAttribute()  #: the part that has changed this row last
    done = Number(default=0)  #: items that this part is done with
    refused_items: ListAttribute[Any] = ListAttribute(default=list)  #: numbers of the refused ones
    #: ids of the window's jobs that had not ended when somebody looked
    handed_over: ListAttribute[Any] = ListAttribute(default=list)
    changed_at = Number()  #: epoch seconds


class Overtaken(Later):
    """Another run of this part is ahead"""

    PRIORITY = 0  #: raised before other errors, which the other run has caused


class Turn(msgspec.Struct, frozen=True):
    """How far a part has come when its turn comes, and what it has queued since."""

    job: Job
    done: int = 0  #: items that the part is done with
    refused: tuple[int, ...] = ()  #: numbers of those that it refused, such as lines of a file
    handed_over: tuple[str, ...] = ()  #: jobs of the window that had not ended at the latest look
    changed_at: int = 0  #: epoch seconds
    row: tuple[str, int] | None = None  #: part and done as stored; None: there is no window


def comes_at(number: int) -> int | None:
    """The `not_before` of the part with this number, from 0: the first one comes at once."""
    return clock.epoch_seconds() + _FALLBACK_SECONDS if number else None


def create(tx: Transaction, batch_id: str, parts: Sequence[Job]) -> None:
    """Adds the window of a new batch to `tx`, with one part or more, at most about `MOST_PARTS`.

    The job of the parts must be declared with a `when_ended` that is `pass_on` or calls it.
    """
    ids, now = [job.id for job in parts], clock.epoch_seconds()
    key = _WINDOW + batch_id
    tx.create(Window(tx.tenant_id, key, parts=ids, part=ids[0], changed_at=now))


def enter(job: Job) -> Turn:
    """The turn of a part, as its latest run has left it.

    Raises Retry, which costs no attempt, while a part before it has not ended. Earlier releases
    made batches without a window; these have room for everything.
    """
    window = _read(job)
    if window is None:
        return Turn(job)
    handed_over, row = tuple(window.handed_over), (str(window.part), int(window.done))
    if window.part == job.id:
        refused = tuple(map(int, window.refused_items))
        return Turn(job, row[1], refused, handed_over, int(window.changed_at), row)
    if unfinished(str(job.tenant), window.parts[: window.parts.index(job.id)]):
        raise Retry("waits for the parts before it", after_seconds=_TURN_SECONDS)
    return Turn(job, 0, (), handed_over, int(window.changed_at), row)


def make_room(turn: Turn, jobs: int, context: Context) -> Turn:
    """The turn to go on with, when there is room for so many more jobs and time to queue them.

    Otherwise raises Retry, which costs no attempt. The pause grows with the time since the window
    last moved, so that during an outage of a day nobody looks every other second.
    """
    if turn.row is None:
        return turn
    if context.remaining_seconds() < _RESERVE_SECONDS:
        raise Retry("goes on in the next attempt", after_seconds=1)
    if _has_room(turn.handed_over, jobs):
        return turn
    left = tuple(unfinished(str(turn.job.tenant), turn.handed_over))
    if _has_room(left, jobs):
        return msgspec.structs.replace(turn, handed_over=left)
    still_seconds = clock.epoch_seconds() - turn.changed_at
    pause_seconds = max(_SHORTEST_PAUSE_SECONDS, min(still_seconds // 4, _LONGEST_PAUSE_SECONDS))
    raise Retry("waits until earlier jobs of its batch have ended", after_seconds=pause_seconds)


def _has_room(handed_over: tuple[str, ...], jobs: int) -> bool:
    return not handed_over or 1 + len(handed_over) + jobs <= MOST_JOBS


def advance(
    turn: Turn, tx: Transaction, items: int, jobs: Sequence[Job], refused: Sequence[int]
) -> Turn:
    """Notes in `tx` that the part is done with so many more items; the turn after the commit.

    `jobs` are those that `tx` queues, `refused` the numbers of the items that it leaves out. The
    commit raises Overtaken, and changes nothing, when another run has changed the window since.
    """
    after = Turn(
        turn.job,
        turn.done + items,
        (*turn.refused, *refused),
        (*turn.handed_over, *(job.id for job in jobs)),
        clock.epoch_seconds(),
        turn.row and (turn.job.id, turn.done + items),
    )
    if turn.row is not None:
        part, done = turn.row
        actions = [
            Window.part.set(turn.job.id),
            Window.done.set(after.done),
            Window.refused_items.set(list(after.refused)),
            Window.handed_over.set(list(after.handed_over)),
            Window.changed_at.set(after.changed_at),
        ]
        unchanged = (Window.part == part) & (Window.done == done)
        tx.update(Window(tx.tenant_id, _key(turn.job)), actions, unchanged, Overtaken())
    return after


def pass_on(job: Job) -> None:
    """Brings the next part forward after the end of the part `job`; safe to repeat.

    How the part has ended makes no difference. After the last part the window is deleted.
    """
    window = _read(job)
    if window is None:
        return
    left = unfinished(str(job.tenant), window.parts)
    if left:
        bring_forward(str(job.tenant), left[0])
    else:
        window.delete()


def bring_forward(tenant_id: str, job_id: str) -> None:
    """Pushes a job at once that waits for a later time; leaves any other job as it is.

    After a crash before the push the sweep pushes it.
    """
    now = clock.epoch_seconds()
    waits = (Job.status == "queued") & (Job.not_before > now)
    job = Job(tenant_id, PREFIX + job_id)
    if job.change_if(waits, ledger.due_now(), read=True):
        outbox.push([job])


def unfinished(tenant_id: str, job_ids: Sequence[str]) -> list[str]:
    """The jobs that have not ended, in their order; a job without a row counts as ended.

    Reads consistently, a hundred jobs in one BatchGetItem.
    """
    keys = [(tenant_id, PREFIX + job_id) for job_id in job_ids]
    names = [Job.tenant.attr_name, Job.sk.attr_name, Job.status.attr_name]
    rows = Job.batch_get(keys, consistent_read=True, attributes_to_get=names) if keys else ()
    live = {job.id for job in rows if not job.ended}
    return [job_id for job_id in job_ids if job_id in live]


def _read(job: Job) -> Window | None:
    return records.read(Window, str(job.tenant), _key(job), consistent=True)


def _key(job: Job) -> str:
    return f"{_WINDOW}{job.batch_id}"
