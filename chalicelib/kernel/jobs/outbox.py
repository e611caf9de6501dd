"""Outbox: jobs saved in the transaction that caused them, then pushed to SQS.

1. `enqueue` adds a row to the caller's transaction.  2. After the commit the jobs' ids are pushed,
ten of a queue in one SendMessageBatch; a push that succeeds is not recorded.  3. `sweep.py` runs
each minute and pushes jobs that are past their due time, or are for a later time that has come.
So a job may be delivered twice but is never lost. The price is one row per job, and a lost push
waits for the sweep. (Transactional outbox: Richardson, "Microservices Patterns", 2018, ch. 3.)
"""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import msgspec

from chalicelib.kernel import aws, events, telemetry
from chalicelib.kernel.jobs import ledger, registry, unique
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import write_set

MESSAGE_VERSION = 1
_MAX_ENTRIES = 10  #: SQS's limit for one SendMessageBatch


class Pushable(Protocol):
    """What a message is made from: a row of the ledger, or its entry in the index `due`."""

    @property
    def tenant(self) -> str: ...

    @property
    def id(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def queue(self) -> str: ...


P = TypeVar("P", bound=Pushable)
Message = dict[str, Any]  #: the parameters of SQS that make a message


class Expecting(Protocol):
    """A batch that gets members from a transaction; see `batches.Joining`."""

    @property
    def id(self) -> str: ...

    def expect(self, job: Job) -> None: ...


class Delivery(msgspec.Struct, frozen=True):
    """How one job is queued, where that differs from its declaration."""

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
        self._unique_jobs: dict[tuple[str, int], Job] = {}  #: by `unique.key_of` and time

    def enqueue(self, name: str, delivery: Delivery | None = None, /, **args: Any) -> Job:
        """Adds the job `name`, which is saved by the commit and then pushed.

        A job takes one of the transaction's 100 actions, a unique one two. A second unique job with
        the same arguments and time is not added, and the first is returned. Raises ValueError for a
        job that would expire before its time.
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
            key = unique.key_of(job), int(job.not_before or 0)
            first = self._unique_jobs.setdefault(key, job)
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


def message_of(job: Pushable) -> Message:
    """The job's message: ids only, so that no personal data enters a queue or a log."""
    body = {"v": MESSAGE_VERSION, "type": job.type, "tenant": job.tenant, "job": job.id}
    return {"MessageBody": json.dumps(body, separators=(",", ":")), "MessageGroupId": job.tenant}


def push(jobs: Iterable[P], to_message: Callable[[P], Message] = message_of) -> list[P]:
    """Sends jobs to their queues; returns those that SQS accepted. Raises nothing."""
    by_queue: dict[str, list[P]] = {}
    for job in jobs:
        by_queue.setdefault(job.queue, []).append(job)
    accepted: list[P] = []
    for queue, queued in by_queue.items():
        for start in range(0, len(queued), _MAX_ENTRIES):
            ten = queued[start : start + _MAX_ENTRIES]
            accepted += _send(queue, ten, [to_message(job) for job in ten])
    return accepted


def _send(queue: str, jobs: list[P], messages: list[Message]) -> list[P]:
    entries = [{"Id": str(number), **message} for number, message in enumerate(messages)]
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
