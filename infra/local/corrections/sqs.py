"""Replaces moto's operations on messages by those of sqs_operations.py, under the same names.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html
"""

import threading
from collections.abc import Callable
from typing import Any

from moto.sqs.exceptions import SQSException
from moto.sqs.models import Queue, SQSBackend

from infra.local.corrections import sqs_operations, sqs_queues
from infra.local.patching import replace_all, wrap_all

_queues_lock = threading.RLock()


def install() -> None:
    operations = (
        "send_message",
        "send_message_batch",
        "receive_message",
        "delete_message",
        "delete_message_batch",
        "change_message_visibility",
        "change_message_visibility_batch",
        "purge_queue",
    )
    replace_all((SQSBackend, name, getattr(sqs_operations, name)) for name in operations)
    wrap_all(
        [
            (SQSBackend, "create_queue", _standard_only),
            (SQSBackend, "delete_queue", _one_at_a_time),
            (SQSBackend, "set_queue_attributes", _with_retention),
        ]
    )
    numbers: dict[str, Callable[[Queue], int]] = {
        "approximate_number_of_messages": lambda queue: sqs_queues.counts(queue).waiting,
        "approximate_number_of_messages_not_visible": lambda q: sqs_queues.counts(q).in_flight,
        "approximate_number_of_messages_delayed": lambda queue: sqs_queues.counts(queue).delayed,
    }
    replace_all((Queue, name, property(number)) for name, number in numbers.items())


def _one_at_a_time(moto: Callable[..., Any]) -> Callable[..., Any]:
    def operation(*args: Any, **named: Any) -> Any:
        with _queues_lock:
            return moto(*args, **named)

    return operation


def _standard_only(moto: Callable[..., Any]) -> Callable[..., Any]:
    def create_queue(backend: SQSBackend, name: str, *args: Any, **attributes: Any) -> Queue:
        if name.endswith(".fifo") or str(attributes.get("FifoQueue")).lower() == "true":
            raise SQSException(
                "AWS.SimpleQueueService.UnsupportedOperation",
                "The local cloud supports standard queues only.",
            )
        with _queues_lock:
            queue: Queue = moto(backend, name, *args, **attributes)
        return queue

    return create_queue


def _with_retention(moto: Callable[..., Any]) -> Callable[..., Any]:
    def set_queue_attributes(
        backend: SQSBackend, queue_name: str, attributes: dict[str, Any]
    ) -> Queue:
        with _queues_lock:
            queue: Queue = moto(backend, queue_name, attributes)
        if "MessageRetentionPeriod" in attributes:
            sqs_queues.retain(queue, int(attributes["MessageRetentionPeriod"]))
        return queue

    return set_queue_attributes
