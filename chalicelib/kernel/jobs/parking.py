"""Parking: jobs that must not run for now wait in a place that the sweep leaves alone.

A *scope* says for what they are parked: now `tenant:<id>`, for a tenant that is suspended. A worker
that has claimed such a job gives it back and moves it to one of the scope's 16 partitions of the
index `due`. Each partition has a note, saved before the job is moved, by which the sweep finds it.
Once the scope holds no longer, the sweep moves the jobs to where all jobs wait, oldest first.

    tenant      sk                 record
    #parked     <scope>#<n>        Note     kept for a while after its partition was emptied

Nothing is lost in between. A claim brings a job back to its own partition, so one that dies while
it runs is found. A note is deleted only when nothing was parked for `_NOTE_SECONDS`: until then the
index may not show the latest job, and another instance may still believe that the scope holds.
The note and the job are written one after the other and not in a transaction, because workers that
park at the same time would refuse each other on the note.
"""

from collections.abc import Callable, Iterator

from pynamodb.expressions.update import Action

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.jobs import ledger
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.store import batch_update
from chalicelib.kernel.store.batch_update import ConditionalUpdate
from chalicelib.kernel.store.records import KernelRecord, Number

PARTITIONS = 16
MOST_AT_ONCE = 10_000  #: jobs that one sweep lets go
_NOTE_SECONDS = 300
_NOTES = "#parked"  #: partition; no tenant id begins with '#'
_TENANT = "tenant:"
_PAGE = 500


class Note(KernelRecord):
    """There are, or were a moment ago, jobs in this partition of a scope."""

    noted_at = Number()  #: epoch seconds at which the latest job was parked


def scope_of(job: Job) -> str | None:
    """The scope for which the job must wait now; None if it may run."""
    tenant_id = str(job.tenant)
    return f"{_TENANT}{tenant_id}" if tenancy.is_suspended(tenant_id) else None


def _holds(scope: str) -> bool:
    """True also for a scope of another kind: a newer release has parked for it."""
    return not scope.startswith(_TENANT) or tenancy.is_suspended(scope.removeprefix(_TENANT))


def park(job: Job, scope: str) -> bool:
    """Gives a claimed job back and parks it; False, and no change, if the claim was lost.

    No attempt is charged, and the history says once that the job was parked. Raises PutError or
    UpdateError when the store was down; the job is then still claimed, or parked.
    """
    partition = f"{scope}#{ledger.part_of(job.id, PARTITIONS)}"
    Note(_NOTES, partition, noted_at=clock.epoch_seconds()).save()
    actions = _parking(job, ledger.PARKED + partition, f"its {_named(scope)} is suspended")
    return job.change_if(Job.claim_token == job.claim_token, actions)


def _parking(job: Job, shard: str, detail: str) -> list[Action]:
    actions: list[Action] = [
        Job.status.set("queued"),
        Job.due_shard.set(shard),
        Job.due_at.set(clock.epoch_seconds()),
        Job.attempts.set(Job.attempts - 1),
        *(attribute.remove() for attribute in (Job.claim_token, Job.lease_until)),
    ]
    if not job.history or job.history[-1]["outcome"] != "parked":
        actions.append(Job.history.set(ledger.with_entry(job, "parked", detail, None)))
    return actions


def _named(scope: str) -> str:
    return scope.partition(":")[0]


def let_go(has_time: Callable[[], bool]) -> int:
    """Moves the jobs of scopes that hold no longer back to where jobs wait; returns how many.

    All partitions get the same share of `MOST_AT_ONCE`, so that a tenant with many jobs does not
    make the others wait. Safe to repeat, and to run twice at once: a job is moved only from where
    it was seen.
    """
    notes = [note for note in Note.query(_NOTES) if not _holds(_scope_of(note))]
    moved = 0
    for note in notes:
        if has_time():
            moved += _empty(note, MOST_AT_ONCE // len(notes) or 1, has_time)
    if moved:
        telemetry.log.info("parked jobs let go", count=moved)
    return moved


def _scope_of(note: Note) -> str:
    return str(note.sk).rpartition("#")[0]


def _empty(note: Note, most: int, has_time: Callable[[], bool]) -> int:
    found = moved = 0
    for jobs in _pages(ledger.PARKED + str(note.sk)):
        found += len(jobs)
        for at in range(0, len(jobs), batch_update.MAX_STATEMENTS):
            if moved >= most or not has_time():
                return moved
            moved += _move(jobs[at : at + min(batch_update.MAX_STATEMENTS, most - moved)])
    is_old = note.noted_at < clock.epoch_seconds() - _NOTE_SECONDS
    if not found and is_old:
        note.delete_if(Note.noted_at == int(note.noted_at))
    return moved


def _pages(shard: str) -> Iterator[list[Job]]:
    query = Job.query(shard, index_name="due", page_size=_PAGE)
    for page in query.page_iter:
        yield [Job(item["tenant"]["S"], item["sk"]["S"], due_shard=shard) for item in page["Items"]]


def _move(jobs: list[Job]) -> int:
    """Moves up to 25 jobs that are still where they were seen; returns how many."""
    going: dict[str, list[Action]] = {}
    waits = (Job.status == "queued") & (Job.due_shard == jobs[0].due_shard)
    updates = []
    for job in jobs:
        home = ledger.shard_of(job.id)
        actions = going.setdefault(home, [Job.due_shard.set(home), *ledger.due_now()])
        updates.append(ConditionalUpdate(job, actions, waits))
    rows = batch_update.execute(updates)
    return sum(
        row is not None or batch_update.execute_alone(update)
        for update, row in zip(updates, rows, strict=True)
    )
