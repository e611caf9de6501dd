"""The state of a local cloud: what is left to do, and whether it is idle."""

from collections.abc import Sequence
from typing import TypedDict

from infra.local.corrections import sqs_queues
from infra.local.executions import Executions, ExecutionsState
from infra.local.mapping import Mapping
from infra.local.schedules import Schedules


class QueueState(TypedDict):
    """The numbers of messages in a queue, and in its dead-letter queue."""

    waiting: int
    in_flight: int
    delayed: int
    dead: int


class State(TypedDict):
    idle: bool
    working: int  #: invocations and schedules that run in this process
    queues: dict[str, QueueState]
    executions: ExecutionsState


def state_of(
    mappings: Sequence[Mapping],
    schedules: Schedules,
    executions: Executions,
    *,
    has_external_workers: bool,
    pending_events: int = 0,
) -> State:
    """Idle means that at one moment no message waits and nothing runs.

    `pending_events` are on their way to a queue, such as events of mails. A message that is hidden
    until its next try does not count as work. But if another process works the queues, such a
    message looks the same as one in work, so with external workers none may be in flight. An
    execution that waits for its next try counts as work.
    """
    before = _begun(mappings, schedules), _working(mappings, schedules)
    under_way = executions.begun, executions.running
    queues = {mapping.queue_name.rpartition("-")[2]: _queue(mapping) for mapping in mappings}
    working = _working(mappings, schedules)
    # A job that began and ended in between may have sent a message after its queue was counted.
    is_quiet = working == 0 and before == (_begun(mappings, schedules), 0)
    is_quiet = is_quiet and under_way == (executions.begun, 0)
    left = pending_events + sum(queue["waiting"] for queue in queues.values())
    if has_external_workers:
        left += sum(queue["in_flight"] for queue in queues.values())
    return {
        "idle": is_quiet and left == 0,
        "working": working,
        "queues": queues,
        "executions": executions.state(),
    }


def _queue(mapping: Mapping) -> QueueState:
    counts = sqs_queues.queue_counts(mapping.queue_name)
    dead = sqs_queues.queue_counts(f"{mapping.queue_name}-dead")
    return {
        "waiting": counts.waiting,
        "in_flight": counts.in_flight,
        "delayed": counts.delayed,
        "dead": dead.waiting + dead.in_flight,
    }


def _working(mappings: Sequence[Mapping], schedules: Schedules) -> int:
    return sum(mapping.polls.under_way for mapping in mappings) + schedules.activity.under_way


def _begun(mappings: Sequence[Mapping], schedules: Schedules) -> int:
    return sum(mapping.deliveries.begun for mapping in mappings) + schedules.activity.begun
