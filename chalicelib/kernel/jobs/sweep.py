"""Sweep: each minute it pushes the jobs whose due time has come, and moves that time on.

Such jobs wait for a later time, or for a retry that no queue could hold, or a push has failed and
left them behind. Jobs for a later time are pushed up to a minute ahead, as messages that SQS shows
at that time, so they do not wait for the next sweep.

What is due is read from the shards of the index `due` side by side. Then tenants take turns: the
first job of every tenant, then the second, the tenant with the fewest jobs first. So whoever has
few jobs is served before a flood of somebody else's. Jobs are pushed ten a call in several threads;
only then are due times moved, 25 a call, so a slow table delays no push. A job whose time was not
moved when the sweep ends is pushed once more by the next one.

A sweep pushes at most `_MOST` jobs, which bounds its memory. If there are more, it reads on and
keeps the jobs whose turns come first, so it drops the latest jobs of the largest tenants. It reads
at most `_MOST_READ` jobs. The others wait for the next sweep, which begins with them, since those
that were pushed have moved on.

A due time moves by a doubling step, and only for jobs that SQS accepted, so that no job waits an
hour after an outage. A job that was claimed, ended or moved meanwhile stays as it is. So two sweeps
at once are safe: a second copy of a message is harmless, and one of them moves the time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from sys import intern
from typing import Any

import msgspec
from pynamodb.exceptions import PynamoDBException
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.jobs import outbox, parking
from chalicelib.kernel.jobs.ledger import PREFIX, Job
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import batch_update, failures
from chalicelib.kernel.store.batch_update import ConditionalUpdate

_AHEAD_SECONDS = 60  #: how early a job for later is pushed; the time until the next sweep
RESERVE_SECONDS = 5  #: time that a sweep leaves unused, so that Lambda never cuts it off
_MOST = 100_000  #: jobs that one sweep pushes; in memory they take 20 MB
_MOST_READ = 400_000  #: jobs that one sweep reads to find those of small tenants; some 5 seconds
_PAGE = 1_000  #: jobs that one read returns
_FIRST_PART = 10  #: jobs that are pushed alone, before all others: one call
_PART = 50  #: jobs that a thread pushes by five calls, or some more if their queues differ

HasTime = Callable[[], bool]


class Due(msgspec.Struct, frozen=True, gc=False):
    """What the index `due` holds of a job; a hundred thousand of these fit into memory."""

    tenant: str
    id: str
    type: str
    queue: str
    due_at: int  #: epoch seconds
    step_seconds: int  #: pause after the next push

    @property
    def is_for_later(self) -> bool:
        """Only a job for a later time has this step, until it has been pushed."""
        return self.step_seconds == settings.push_grace_seconds


def run(has_time: HasTime = lambda: True) -> int:
    """Pushes the jobs that are due; returns how many SQS accepted.

    Stops when `has_time` returns False; the next sweep continues. When a call fails, the others are
    made all the same. Then raises the first error of those of reads, and of those of moves that a
    later sweep would meet too.
    """
    pushed = longest_seconds = 0
    try:
        dues, errors = _read_shards(has_time)
        longest_seconds = max(map(_overdue_seconds, dues), default=0)
        accepted = _push(in_turns(dues), has_time)
        pushed = len(accepted)
        _move(accepted, has_time, errors)
        _let_go(has_time, errors)  # last: one tenant's many jobs must not hold up what is due
    finally:
        telemetry.emit({"sweep_pushed": pushed, "ledger_age_seconds": longest_seconds})
    if errors:
        raise errors[0]
    return pushed


def _let_go(has_time: HasTime, errors: list[Exception]) -> None:
    """Lets parked jobs go; what fails is left to the next sweep."""
    try:
        parking.let_go(has_time)
    except PynamoDBException as error:
        telemetry.log.warning("parked jobs not let go", error=type(error).__name__)
        if not failures.is_transient(error):
            errors.append(error)


def _overdue_seconds(due: Due) -> int:
    """Seconds since the job first became due; every push without effect has doubled its step."""
    earlier_seconds = due.step_seconds - 2 * settings.push_grace_seconds
    return max(0, clock.epoch_seconds() - due.due_at + max(0, earlier_seconds))


# Reading -----------------------------------------------------------------------------------------


def _read_shards(has_time: HasTime) -> tuple[list[Due], list[Exception]]:
    dues: list[Due] = []
    errors: list[Exception] = []
    with ThreadPoolExecutor(settings.sweep_threads, thread_name_prefix="read") as pool:
        reads = [pool.submit(_read, str(n), has_time, errors) for n in range(settings.due_shards)]
        for read in reads:
            dues += read.result()
    return dues, errors


def _read(shard: str, has_time: HasTime, errors: list[Exception]) -> list[Due]:
    """The shard's part of what one sweep pushes; after an error, what was read before it."""
    most, most_read = _MOST // settings.due_shards, _MOST_READ // settings.due_shards
    now, read, kept = clock.epoch_seconds(), 0, list[Due]()
    try:
        for page in _pages(shard):
            read += len(page)
            kept += (due for due in page if due.due_at <= now or due.is_for_later)
            if len(kept) > most:
                kept = in_turns(kept)[:most]
            if read >= most_read or not has_time():
                break
    except PynamoDBException as error:
        errors.append(error)
    return kept


def _pages(shard: str) -> Iterator[list[Due]]:
    soon = Job.due_at <= clock.epoch_seconds() + _AHEAD_SECONDS
    query = Job.query(shard, soon, index_name="due", page_size=_PAGE)
    for page in query.page_iter:
        yield [_due(item) for item in page["Items"]]


def _due(item: dict[str, Any]) -> Due:
    step = item.get("due_step_seconds", {}).get("N", settings.push_grace_seconds)
    return Due(
        tenant=intern(item["tenant"]["S"]),
        id=item["sk"]["S"].removeprefix(PREFIX),
        type=intern(item["type"]["S"]),
        queue=intern(item["queue"]["S"]),
        due_at=int(item["due_at"]["N"]),
        step_seconds=int(step),
    )


def in_turns(dues: Iterable[Due]) -> list[Due]:
    """The jobs in the order of turns: the oldest job of every tenant, the smallest tenant first."""
    counts: Counter[str] = Counter()
    numbered = []
    for due in sorted(dues, key=lambda due: due.due_at):
        numbered.append((counts[due.tenant], due))
        counts[due.tenant] += 1
    numbered.sort(key=lambda pair: (pair[0], counts[pair[1].tenant]))
    return [due for _, due in numbered]


# Pushing and moving ------------------------------------------------------------------------------


def _push(dues: list[Due], has_time: HasTime) -> list[Due]:
    """Pushes the jobs in parts; returns those that SQS accepted.

    The first part is pushed before all others, so that the first turns are served first.
    """

    def push(part: list[Due]) -> list[Due]:
        return outbox.push(part, _message_of) if has_time() else []

    accepted = push(dues[:_FIRST_PART])
    with ThreadPoolExecutor(settings.sweep_threads, thread_name_prefix="push") as pool:
        pushes = [pool.submit(push, part) for part in _parts(dues[_FIRST_PART:], _PART)]
    for done in pushes:
        accepted += done.result()
    return accepted


def _move(dues: list[Due], has_time: HasTime, errors: list[Exception]) -> None:
    """Moves due times on, in fewer threads: a tenant's partition takes 1,000 writes a second."""
    batches = _parts(dues, batch_update.MAX_STATEMENTS)
    with ThreadPoolExecutor(-(-settings.sweep_threads // 2), thread_name_prefix="move") as pool:
        moves = [pool.submit(_move_batch, batch, has_time, errors) for batch in batches]
    for move in moves:
        move.result()


def _message_of(due: Due) -> outbox.Message:
    message, wait_seconds = outbox.message_of(due), due.due_at - clock.epoch_seconds()
    return {**message, "DelaySeconds": wait_seconds} if wait_seconds > 0 else message


def _parts(dues: list[Due], size: int) -> Iterator[list[Due]]:
    return (dues[at : at + size] for at in range(0, len(dues), size))


def _move_batch(dues: list[Due], has_time: HasTime, errors: list[Exception]) -> None:
    """Moves due times on. A job whose time could not be moved is pushed again in a minute."""
    if not has_time():
        return
    updates = _updates(dues)
    is_shared = len(updates) > 1  # a shared call for one would save nothing
    try:
        rows = batch_update.execute(updates) if is_shared else [None]
        for update, row in zip(updates, rows, strict=True):
            if row is None:
                batch_update.execute_alone(update)
    except PynamoDBException as error:
        telemetry.log.warning("due times not moved", error=type(error).__name__)
        if not failures.is_transient(error):
            errors.append(error)


def _updates(dues: list[Due]) -> list[ConditionalUpdate]:
    """Updates of jobs that nobody has claimed, ended or moved since they were read.

    Many share their actions and their condition, which are then put into PartiQL once.
    """
    now = clock.epoch_seconds()
    kinds = {due: (max(now, due.due_at), due.step_seconds) for due in dues}
    actions = {kind: _moving_on(*kind) for kind in set(kinds.values())}
    unchanged = {due_at: Job.due_at == due_at for due_at in {due.due_at for due in dues}}
    return [
        ConditionalUpdate(Job(due.tenant, PREFIX + due.id), actions[kind], unchanged[due.due_at])
        for due, kind in kinds.items()
    ]


def _moving_on(shown_at: int, step_seconds: int) -> list[Action]:
    """Moves the time of jobs whose message SQS shows from `shown_at` on."""
    longest_seconds = settings.sweep_max_step_seconds
    actions: list[Action] = [
        Job.due_at.set(shown_at + min(step_seconds, longest_seconds)),
        Job.due_step_seconds.set(min(step_seconds * 2, longest_seconds)),
    ]
    if step_seconds == settings.push_grace_seconds:
        # A job for later: without `not_before` workers may claim it together with others. One that
        # waits for a retry keeps it: clients are shown when it was to be tried, and its message
        # mostly comes from its queue, not from here.
        actions.append(Job.not_before.remove())
    return actions
