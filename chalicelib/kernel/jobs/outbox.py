"""Outbox: jobs saved in the transaction that caused them, then pushed to SQS.

1. `enqueue` adds a row to the caller's transaction.  2. After the commit the jobs' ids are pushed,
ten of a queue in one SendMessageBatch; a push that succeeds is not recorded.  3. `sweep` runs each
minute, pushes jobs that are past their due time, and postpones that time by a doubling step.
So a job may be delivered twice but is never lost. The price is one row per job, and a lost push
waits for the sweep. (Transactional outbox: Richardson, "Microservices Patterns", 2018, ch. 3.)
"""

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import msgspec

from chalicelib.kernel import aws, clock, events, telemetry
from chalicelib.kernel.jobs import ledger, registry, unique
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import write_set

MESSAGE_VERSION = 1
_MAX_ENTRIES = 10  #: SQS's limit for one SendMessageBatch
_SWEEP_PAGE = 200  #: rows that one read returns
SWEEP_RESERVE_SECONDS = 5  #: time that a sweep leaves unused, so that Lambda never cuts it off


class Expecting(Protocol):
    """A batch that gets members from a transaction; see `batches.Joining`."""

    @property
    def id(self) -> str: ...

    def expect(self, job: Job) -> None: ...


class Delivery(msgspec.Struct, frozen=True):
    """How one job is queued, where that differs from its declaration.

    The shop will use `not_after`.
    """

    channel: str | None = None  #: a notice's channel
    recipient: str | None = None  #: a notice's address or number
    queue: str | None = None  #: None: the declared queue
    not_before: int | None = None  #: epoch seconds before which it is not run; None: at once
    not_after: int | None = None  #: epoch seconds after which it ends as `expired`
    batch: Expecting | None = None  #: batch that it belongs to
    units: int = 1  #: what it counts for in its batch


class Transaction(write_set.WriteSet):
    """A transaction of one tenant; its jobs are pushed after the commit."""

    def __init__(self, tenant_id: str) -> None:
        super().__init__()
        self.tenant_id = tenant_id
        self._jobs: list[Job] = []
        self._unique_jobs: dict[str, Job] = {}  #: by `unique.key_of`

    def enqueue(self, name: str, delivery: Delivery | None = None, /, **args: Any) -> Job:
        """Adds the job `name`, which is saved by the commit and then pushed.

        A job takes one of the transaction's 100 actions, a unique one two. A second unique job with
        the same arguments is not added, and the first is returned. Raises ValueError for a job that
        would expire before its time.
        """
        declared, delivery = registry.find(name), delivery or Delivery()
        if (delivery.not_after or math.inf) < (delivery.not_before or 0):
            raise ValueError(f"{name} would expire before its time")
        job = ledger.new(
            self.tenant_id,
            name,
            args,
            queue=delivery.queue or declared.queue,
            tries=declared.tries,
            channel=delivery.channel,
            recipient=delivery.recipient,
            batch_id=delivery.batch and delivery.batch.id,
            units=delivery.units,
            not_before=delivery.not_before,
            not_after=delivery.not_after,
        )
        if declared.unique_for_seconds:
            first = self._unique_jobs.setdefault(unique.key_of(job), job)
            if first is not job:
                return first
            unique.mark(self, job)
        self.create(job)
        if delivery.batch is not None:
            delivery.batch.expect(job)
        self._jobs.append(job)
        return job

    def publish(self, event: str, /, **args: Any) -> None:
        """Adds a job with these arguments for every `@job(on=event)`; nothing if there is none.

        Each is one of the transaction's 100 actions. They share a queue, so they are pushed by one
        call, which also takes along other jobs for that queue.
        """
        for name in events.subscribers(event):
            self.enqueue(name, **args)

    def commit(self) -> None:
        """Saves everything, then pushes the jobs. A push that fails is left to the sweep."""
        super().commit()
        push(job for job in self._jobs if not ledger.waits(job))


def message_of(job: Job) -> dict[str, str]:
    """The job's message: ids only, so that no personal data enters a queue or a log."""
    body = {"v": MESSAGE_VERSION, "type": job.type, "tenant": job.tenant, "job": job.id}
    return {"MessageBody": json.dumps(body, separators=(",", ":")), "MessageGroupId": job.tenant}


def push(jobs: Iterable[Job]) -> list[Job]:
    """Sends jobs to their queues; returns those that SQS accepted. Raises nothing."""
    by_queue: dict[str, list[Job]] = {}
    for job in jobs:
        by_queue.setdefault(job.queue, []).append(job)
    accepted: list[Job] = []
    for queue, queued in by_queue.items():
        for start in range(0, len(queued), _MAX_ENTRIES):
            accepted += _send(queue, queued[start : start + _MAX_ENTRIES])
    return accepted


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
    """Pushes every job that is past its due time; returns how many SQS accepted.

    Two sweeps at once are safe: a second copy of a message is harmless, and only one of them
    postpones a job's due time. Stops when `has_time` returns False; the next sweep continues.
    """
    pushed = longest_seconds = 0
    try:
        for shard in range(settings.due_shards):
            for jobs in _in_tens(_due(str(shard))):
                longest_seconds = max(longest_seconds, *map(_overdue_seconds, jobs))
                if not has_time():
                    return pushed
                pushed += _push_and_postpone(jobs)
        return pushed
    finally:
        telemetry.emit({"sweep_pushed": pushed, "ledger_age_seconds": longest_seconds})


def _overdue_seconds(job: Job) -> int:
    """Seconds since the job first became due; each push without effect has doubled its step."""
    earlier_seconds = int(job.due_step_seconds or 0) - 2 * settings.push_grace_seconds
    return clock.epoch_seconds() - int(job.due_at) + max(0, earlier_seconds)


def _due(shard: str) -> Iterable[Job]:
    now = clock.epoch_seconds()
    return Job.query(shard, Job.due_at <= now, index_name="due", page_size=_SWEEP_PAGE)


def _in_tens(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    while ten := list(itertools.islice(rest, _MAX_ENTRIES)):
        yield ten


def _push_and_postpone(jobs: list[Job]) -> int:
    """Postpones only jobs that SQS accepted, so that no job waits an hour after an outage."""
    accepted = push(jobs)
    for job in accepted:
        _postpone(job)
    return len(accepted)


def _postpone(job: Job) -> None:
    step = int(job.due_step_seconds or settings.push_grace_seconds)
    next_step = min(step * 2, settings.sweep_max_step_seconds)
    actions = [
        Job.due_at.set(clock.epoch_seconds() + min(step, settings.sweep_max_step_seconds)),
        Job.due_step_seconds.set(next_step),
    ]
    # Does nothing if the job was claimed, ended or postponed meanwhile.
    job.change_if(Job.due_at == job.due_at, actions)
