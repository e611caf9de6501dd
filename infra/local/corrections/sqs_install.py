"""Puts our SQS in the place of moto's: same names, same arguments, other bodies."""

import threading
from collections.abc import Callable
from typing import Any

from moto.sqs.exceptions import SQSException
from moto.sqs.models import Queue, SQSBackend

from infra.local.corrections import sqs, sqs_operations

_queues_lock = threading.RLock()


def install() -> None:
    operations: dict[str, Callable[..., Any]] = {
        "send_message": sqs_operations.send_message,
        "send_message_batch": sqs_operations.send_message_batch,
        "receive_message": sqs_operations.receive_message,
        "delete_message": sqs_operations.delete_message,
        "delete_message_batch": sqs_operations.delete_message_batch,
        "change_message_visibility": sqs_operations.change_message_visibility,
        "change_message_visibility_batch": sqs_operations.change_message_visibility_batch,
        "purge_queue": sqs_operations.purge_queue,
        "create_queue": _standard_only(SQSBackend.create_queue),
        "delete_queue": _one_at_a_time(SQSBackend.delete_queue),
        "set_queue_attributes": _with_retention(SQSBackend.set_queue_attributes),
    }
    for name, operation in operations.items():
        setattr(SQSBackend, name, operation)
    numbers: dict[str, Callable[[Queue], int]] = {
        "approximate_number_of_messages": lambda queue: sqs.counts(queue).waiting,
        "approximate_number_of_messages_not_visible": lambda queue: sqs.counts(queue).in_flight,
        "approximate_number_of_messages_delayed": lambda queue: sqs.counts(queue).delayed,
    }
    for name, number in numbers.items():
        setattr(Queue, name, property(number))


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
                "The local cloud has standard queues only.",
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
            sqs.retain(queue, int(attributes["MessageRetentionPeriod"]))
        return queue

    return set_queue_attributes
