"""Outbox: jobs saved in the transaction that caused them, then pushed to SQS.

1. `enqueue` adds a row to the caller's transaction.  2. After the commit the ids are pushed, all
jobs of a queue in one SendMessageBatch per ten; nothing marks a push that went well.  3. `sweep`
runs each minute, pushes rows that are past their due time and moves that time on, doubling.
A job can therefore be delivered twice, never lost. Price: one row per job, and a lost push waits
for the sweep. (Transactional outbox: Richardson, "Microservices Patterns", 2018, ch. 3.)
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import msgspec

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.jobs import ledger, registry, unique
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import write_set

MESSAGE_VERSION = 1
_BATCH = 10  #: most entries of one SendMessageBatch
_SWEEP_PAGE = 200  #: rows read at a time
SWEEP_RESERVE_SECONDS = 5  #: time that a sweep leaves unused, so that it ends by itself


class Expecting(Protocol):
    """A batch whose members are added by this transaction."""

    @property
    def id(self) -> str: ...

    def expect(self, job: Job) -> None: ...

    def withdraw(self, job: Job) -> None: ...


class Delivery(msgspec.Struct, frozen=True):
    """How one job is queued, where that differs from its declaration."""

    channel: str | None = None  #: of a notice
    recipient: str | None = None  #: of a notice
    queue: str | None = None
    not_after: int | None = None  #: epoch seconds after which it ends as `expired`
    batch: Expecting | None = None
    units: int = 1  #: how much of its batch it is


class Transaction(write_set.WriteSet):
    """A transaction whose jobs are pushed once it is committed."""

    def __init__(self, tenant_id: str) -> None:
        super().__init__()
        self.tenant_id = tenant_id
        self.batches: list[Expecting] = []
        self._jobs: list[Job] = []
        self._only_ones: dict[str, Job] = {}  #: unique jobs of this transaction by their key

    def enqueue(self, name: str, how: Delivery | None = None, /, **args: Any) -> Job:
        """Saves the job `name` with the rest of the transaction and pushes it afterwards.

        A unique job that is queued already drops out at the commit; the rest is saved. A second
        one in this very transaction is the first.
        """
        declared, how = registry.find(name), how or Delivery()
        job = ledger.new(
            self.tenant_id,
            name,
            args,
            queue=how.queue or declared.queue,
            tries=declared.tries,
            channel=how.channel,
            recipient=how.recipient,
            batch_id=how.batch and how.batch.id,
            units=how.units,
            not_after=how.not_after,
        )
        if declared.unique_for_seconds:
            first = self._only_ones.setdefault(unique.key_of(job), job)
            if first is not job:
                return first
        error = unique.AlreadyQueued(job) if declared.unique_for_seconds else None
        self.create(job, error)
        if error is not None:
            unique.lock(self, job, declared.unique_for_seconds, error)
        if how.batch is not None:
            how.batch.expect(job)
        self._jobs.append(job)
        return job

    def commit(self) -> None:
        """Saves all, then pushes. A push that fails is left to the sweep: the work is saved."""
        while True:
            try:
                super().commit()
                break
            except unique.AlreadyQueued as taken:
                self._leave_out(taken)
        push(self._jobs)

    def _leave_out(self, taken: unique.AlreadyQueued) -> None:
        self.drop(taken)
        self._jobs.remove(taken.job)
        for joined in self.batches:
            joined.withdraw(taken.job)


def message_of(job: Job) -> dict[str, str]:
    """What travels: ids only, so that no personal data stands in a queue or a log."""
    body = {"v": MESSAGE_VERSION, "type": job.type, "tenant": job.tenant, "job": job.id}
    return {"MessageBody": json.dumps(body, separators=(",", ":")), "MessageGroupId": job.tenant}


def push(jobs: Iterable[Job]) -> list[Job]:
    """Sends jobs to their queues; returns those SQS took. Never raises: the sweep repeats."""
    by_queue: dict[str, list[Job]] = {}
    for job in jobs:
        by_queue.setdefault(job.queue, []).append(job)
    taken: list[Job] = []
    for queue, waiting in by_queue.items():
        for at in range(0, len(waiting), _BATCH):
            taken += _send(queue, waiting[at : at + _BATCH])
    return taken


def _send(queue: str, jobs: list[Job]) -> list[Job]:
    entries = [{"Id": str(number), **message_of(job)} for number, job in enumerate(jobs)]
    try:
        answer = aws.client("sqs").send_message_batch(
            QueueUrl=aws.queue_url(settings.resource(queue)), Entries=entries
        )
    except aws.CALL_FAILED as error:
        _note_refusal(queue, len(jobs), type(error).__name__)
        return []
    refused = {int(entry["Id"]) for entry in answer.get("Failed", [])}
    if refused:
        _note_refusal(queue, len(refused), "entries refused")
    return [job for number, job in enumerate(jobs) if number not in refused]


def _note_refusal(queue: str, count: int, error: str) -> None:
    telemetry.log.warning("push left to the sweep", queue=queue, count=count, error=error)
    telemetry.emit({"pushes_failed": count}, queue=queue)


def sweep(has_time: Callable[[], bool] = lambda: True) -> int:
    """Pushes every waiting job that is past its due time; returns how many SQS took.

    Safe to run twice at once: a second copy of a message is harmless, and of two sweeps only one
    moves a row's due time on. Stops early when `has_time` says so; the next sweep goes on.
    """
    pushed = longest = 0
    try:
        for shard in range(settings.due_shards):
            for jobs in _tens(_due(str(shard))):
                longest = max(longest, *map(_waited_seconds, jobs))
                if not has_time():
                    return pushed
                pushed += _push_and_move(jobs)
        return pushed
    finally:
        telemetry.emit({"sweep_pushed": pushed, "ledger_age_seconds": longest})


def _waited_seconds(job: Job) -> int:
    """How long a job is past its time; each push in vain has doubled its step."""
    in_vain = int(job.due_step_seconds or 0) - 2 * settings.push_grace_seconds
    return clock.epoch_seconds() - int(job.due_at) + max(0, in_vain)


def _due(shard: str) -> Iterable[Job]:
    now = clock.epoch_seconds()
    return Job.query(shard, Job.due_at <= now, index_name="due", page_size=_SWEEP_PAGE)


def _tens(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    while ten := list(itertools.islice(rest, _BATCH)):
        yield ten


def _push_and_move(jobs: list[Job]) -> int:
    """Pushes first and moves on only what SQS took: after an outage nothing waits an hour."""
    taken = push(jobs)
    for job in taken:
        _move_on(job)
    return len(taken)


def _move_on(job: Job) -> None:
    step = int(job.due_step_seconds or settings.push_grace_seconds)
    next_step = min(step * 2, settings.sweep_max_step_seconds)
    actions = [
        Job.due_at.set(clock.epoch_seconds() + min(step, settings.sweep_max_step_seconds)),
        Job.due_step_seconds.set(next_step),
    ]
    # Claimed, ended or moved on by another sweep meanwhile: then it is in good hands.
    job.change_if(Job.due_at == job.due_at, actions)
