"""One batch of messages: claim, run and mark the jobs, and decide what becomes of the messages.

The rule that loses nothing and repeats no success, whether or not the event source mapping reports
batch item failures (Chalice cannot set that): claim with a lease, run, mark; then delete the
messages that succeeded, hide the others until their time, and raise. Failures are returned instead
only if the deployment has set the mapping's flag and says so by `PARTIAL_BATCH`.
The ledger decides when a job is dead, never SQS's receive count.
"""

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import msgspec

from chalicelib.kernel import aws, telemetry
from chalicelib.kernel.jobs import attempt, claims, outbox, registry
from chalicelib.kernel.jobs.attempt import Outcome
from chalicelib.kernel.jobs.claims import Claim, Unsettled
from chalicelib.kernel.jobs.group_commit import Group
from chalicelib.kernel.jobs.retry import LONGEST_IN_QUEUE_SECONDS
from chalicelib.kernel.settings import settings

#: With less time left no further job is claimed, because it could not be marked.
_MIN_SECONDS = 2.0
#: With less time left jobs are not claimed in one call: the SDK may need 15 seconds (`aws.LIMITS`)
#: to fail, and the single claims that follow another 15.
_MIN_SECONDS_TOGETHER = 35.0
#: How long a message of a newer release waits for workers that can read it.
_PARKED_SECONDS = LONGEST_IN_QUEUE_SECONDS

_NO_TIME = Outcome.keep("no-time", 0)

_NAME = re.compile(r"[\x21-\x7e]{1,200}")  # other texts cannot be part of a key

Record = dict[str, Any]
Handle = Callable[[Record, float], Outcome]


class BatchIncomplete(Exception):
    """Some messages go back to their queue; raised on purpose, so that the mapping keeps them."""


class Message(msgspec.Struct, frozen=True):
    """The body of a message."""

    type: str
    tenant_id: str
    job_id: str


#: The results of `claims.claim_first_attempts`, for one message per job.
Claimed = dict[Message, Claim | Unsettled]


class Unreadable(ValueError):
    """The message was not written by this project."""


def read(body: str) -> Message | None:
    """The message, or None if its version is newer than this release. Raises Unreadable."""
    try:
        content = json.loads(body)
        if int(content["v"]) > outbox.MESSAGE_VERSION:
            return None
        parts = (content["type"], content["tenant"], content["job"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from error
    if not all(isinstance(part, str) and _NAME.fullmatch(part) for part in parts):
        raise Unreadable("type, tenant or job is not a name")
    return Message(*parts)


def drain(
    event: dict[str, Any], remaining_seconds: float, handle: Handle | None = None
) -> dict[str, Any] | None:
    """Works a batch as Lambda delivers it, its records side by side in threads.

    `handle` works one record; without it the records are messages of jobs. Returns the answer for a
    mapping that reports batch item failures. For one that does not, raises BatchIncomplete when a
    message has to come back.
    """
    records: list[Record] = event["Records"]
    deadline = time.monotonic() + remaining_seconds
    group = Group(len(records), settings.worker_threads)
    work = _in_time(handle) if handle else _job_handler(records, deadline, group)
    outcomes = _work(records, deadline, work, group.leave)
    _count(outcomes.values())
    kept = {id_: outcome for id_, outcome in outcomes.items() if not outcome.delete}
    if not kept:
        return {"batchItemFailures": []} if settings.partial_batch else None
    return _return_failures(records, outcomes, kept)


def _work(
    records: list[Record], deadline: float, handle: Handle, when_done: Callable[[], None]
) -> dict[str, Outcome]:
    """The records' outcomes by message id; a record that takes too long stays in its queue."""
    pool = ThreadPoolExecutor(settings.worker_threads, thread_name_prefix="job")
    running: dict[str, Future[Outcome]] = {
        record["messageId"]: pool.submit(_guarded, record, deadline, handle) for record in records
    }
    for future in running.values():
        future.add_done_callback(lambda _: when_done())
    wait(running.values(), timeout=max(0.0, _left_seconds(deadline) - _MIN_SECONDS / 2))
    # Threads cannot be stopped: a job that still runs keeps its lease and runs again after it.
    pool.shutdown(wait=False, cancel_futures=True)
    return {
        id_: future.result() if future.done() and not future.cancelled() else Outcome.keep("slow")
        for id_, future in running.items()
    }


def _guarded(record: Record, deadline: float, handle: Handle) -> Outcome:
    try:
        return handle(record, deadline)
    except Exception as error:  # noqa: BLE001  such as an outage: the message comes back
        telemetry.log.exception("message kept", error=type(error).__name__)
        return Outcome.keep("error")


def _in_time(handle: Handle) -> Handle:
    def work(record: Record, deadline: float) -> Outcome:
        if _left_seconds(deadline) < _MIN_SECONDS:
            return _NO_TIME
        return handle(record, deadline)

    return work


def _left_seconds(deadline: float) -> float:
    return deadline - time.monotonic()


def _job_handler(records: list[Record], deadline: float, group: Group) -> Handle:
    """A handler of jobs' messages. Jobs at their first attempt are claimed here, in one call.

    This is done only if all jobs start now and have enough time: a job that is claimed and not run
    would count as an attempt that left no result.
    """
    all_start = 1 < len(records) <= settings.worker_threads
    in_time = _left_seconds(deadline) >= _MIN_SECONDS_TOGETHER
    claimed = _claim_first_attempts(records) if all_start and in_time else {}
    return lambda record, deadline: _handle(record, deadline, claimed, group)


def _claim_first_attempts(records: list[Record]) -> Claimed:
    messages = {
        (message.tenant_id, message.job_id): message for message in _first_messages(records)
    }
    results = claims.claim_first_attempts(messages)
    return {messages[key]: result for key, result in results.items()}


def _first_messages(records: list[Record]) -> Iterator[Message]:
    """Messages that arrive for the first time and whose jobs this release knows.

    If a message arrives again, its job has most likely been tried: claiming it as a first attempt
    would fail, and a failed condition costs a write.
    """
    for record in records:
        receives = record.get("attributes", {}).get("ApproximateReceiveCount", "1")
        with contextlib.suppress(Unreadable):
            message = read(record["body"])
            if message and receives == "1" and _is_known(message.type):
                yield message


def _is_known(type_: str) -> bool:
    try:
        registry.find(type_)
    except Exception:  # noqa: BLE001  a broken module raises again when the job is run
        return False
    return True


def _handle(record: Record, deadline: float, claimed: Claimed, group: Group) -> Outcome:
    is_late = _left_seconds(deadline) < _MIN_SECONDS
    try:
        message = read(record["body"])
    except Unreadable as error:
        return _NO_TIME if is_late else _dead_letter(record, str(error))
    if message is None:
        return Outcome.keep("newer", _PARKED_SECONDS)
    claim = claimed.pop(message, None)
    if is_late and claim is None:
        return _NO_TIME
    return attempt.run(message.type, message.tenant_id, message.job_id, deadline, claim, group)


def _dead_letter(record: Record, why: str) -> Outcome:
    """Moves a message that this project did not write to the dead-letter queue."""
    telemetry.log.error("unreadable message", message_id=record["messageId"], why=why)
    name = _queue_name(record)
    aws.client("sqs").send_message(
        QueueUrl=aws.queue_url(f"{name}-dead"), MessageBody=record["body"]
    )
    return Outcome.drop("unreadable")


def _count(outcomes: Iterable[Outcome]) -> None:
    counts = Counter(outcome.name for outcome in outcomes)
    telemetry.emit({f"jobs_{name.replace('-', '_')}": count for name, count in counts.items()})


def _return_failures(
    records: list[Record], outcomes: dict[str, Outcome], kept: dict[str, Outcome]
) -> dict[str, Any]:
    url = aws.queue_url(_queue_name(records[0]))
    handles = {record["messageId"]: record["receiptHandle"] for record in records}
    _hide(url, handles, kept)
    if settings.partial_batch:
        return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in kept]}
    done = [handles[id_] for id_ in outcomes if id_ not in kept]
    _best_effort(
        "delete_message_batch",
        url,
        [{"Id": str(at), "ReceiptHandle": handle} for at, handle in enumerate(done)],
    )
    raise BatchIncomplete(f"{len(kept)} of {len(records)} messages wait for another try")


def _hide(url: str, handles: dict[str, str], kept: dict[str, Outcome]) -> None:
    """Sets when the messages are seen again; for all others the queue's time-out applies."""
    entries = [
        {"Id": str(at), "ReceiptHandle": handles[id_], "VisibilityTimeout": outcome.hidden_seconds}
        for at, (id_, outcome) in enumerate(kept.items())
        if outcome.hidden_seconds is not None
    ]
    _best_effort("change_message_visibility_batch", url, entries)


def _best_effort(operation: str, url: str, entries: list[dict[str, Any]]) -> None:
    """Makes a call that only saves work: without it messages come back and find their jobs done."""
    try:
        for at in range(0, len(entries), 10):
            getattr(aws.client("sqs"), operation)(QueueUrl=url, Entries=entries[at : at + 10])
    except aws.CALL_FAILED as error:
        telemetry.log.warning("queue call failed", operation=operation, error=type(error).__name__)


def _queue_name(record: Record) -> str:
    return str(record["eventSourceARN"]).rpartition(":")[2]
