"""What is left to do in a local cloud."""

from collections.abc import Sequence
from typing import TypedDict

from infra.local.corrections import sqs_queues
from infra.local.executions import Executions, ExecutionsState
from infra.local.mapping import Mapping
from infra.local.schedules import Schedules


class QueueState(TypedDict):
    """One queue's messages, and those of its dead-letter queue."""

    waiting: int
    in_flight: int
    delayed: int
    dead: int


class State(TypedDict):
    idle: bool
    working: int  #: invocations and schedules under way in this process
    queues: dict[str, QueueState]
    executions: ExecutionsState


def state_of(
    mappings: Sequence[Mapping],
    schedules: Schedules,
    executions: Executions,
    *,
    apart: bool,
    left: int = 0,
) -> State:
    """Idle when nothing waits and nothing is being worked at one and the same moment.

    `left` counts what is on its way to a queue, such as events of mails.

    A message that is hidden until its next try is no work for now. Where another process works
    the queues (`apart`), such a message cannot be told from one that is being worked, so
    nothing may be in flight there. An execution that waits for its next try is not at its end.
    """
    before = _begun(mappings, schedules), _working(mappings, schedules)
    under_way = executions.begun, executions.running
    queues = {mapping.queue_name.rpartition("-")[2]: _queue(mapping) for mapping in mappings}
    working = _working(mappings, schedules)
    # A job that began and ended meanwhile may have sent a message just after its queue was read.
    quiet = working == 0 and before == (_begun(mappings, schedules), 0)
    quiet = quiet and under_way == (executions.begun, 0)
    left += sum(queue["waiting"] + queue["in_flight"] * apart for queue in queues.values())
    return {
        "idle": quiet and left == 0,
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
