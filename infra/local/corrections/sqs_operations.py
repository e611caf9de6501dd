"""Every operation on the messages of a standard queue, in place of moto's.

moto lets a stale receipt handle delete a message and change its visibility, does not limit batches
of deletes and changes, and accepts characters that no message may contain. It also reads and copies
all messages for every call.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
"""

import time
from collections.abc import Callable
from typing import Any

from moto.sqs.constants import MAXIMUM_VISIBILITY_TIMEOUT
from moto.sqs.exceptions import InvalidParameterValue, SQSException
from moto.sqs.models import Queue, SQSBackend, _filter_message_attributes

from infra.local.corrections import sqs_message
from infra.local.corrections.message_store import IN_FLIGHT, StoredMessage, receipt_copy
from infra.local.corrections.sqs_message import SqsMessage
from infra.local.corrections.sqs_queues import changed, pause, settled, store_of

Failure = dict[str, Any]


def purge_queue(backend: SQSBackend, queue_name: str) -> None:
    with changed:
        store_of(backend.get_queue(queue_name)).clear()


def _number(queue: Queue, name: str) -> int:
    return int(getattr(queue, name))  # moto sets a queue's attributes by setattr


def send_message(
    backend: SQSBackend,
    queue_name: str,
    message_body: str,
    message_attributes: dict[str, Any] | None = None,
    delay_seconds: int | None = None,
    group_id: str | None = None,
    system_attributes: dict[str, Any] | None = None,
    **_fifo_only: Any,
) -> SqsMessage:
    queue = backend.get_queue(queue_name)
    delay = _number(queue, "delay_seconds") if delay_seconds is None else int(delay_seconds)
    sqs_message.check_message(queue, message_body, message_attributes)
    sqs_message.check_delay(delay)
    sqs_message.check_group(group_id)
    message = sqs_message.new_message(message_body, message_attributes, system_attributes, group_id)
    with changed:
        now = time.time()
        message.sent_timestamp = int(now * 1000)
        message.expires_at = now + _number(queue, "message_retention_period")
        store_of(queue).add(message, visible_at=now + delay if delay else None)
        changed.notify_all()
    return message


def send_message_batch(
    backend: SQSBackend, queue_name: str, entries: dict[str, dict[str, Any]]
) -> tuple[list[SqsMessage], list[Failure]]:
    backend.get_queue(queue_name)
    sqs_message.check_batch(list(entries.values()))
    sqs_message.check_batch_size(list(entries.values()))
    sent: list[SqsMessage] = []
    failed: list[Failure] = []
    for entry in entries.values():
        try:
            message = send_message(
                backend,
                queue_name,
                entry["MessageBody"],
                entry.get("MessageAttributes"),
                entry.get("DelaySeconds"),
                group_id=entry.get("MessageGroupId"),
                system_attributes=entry.get("MessageSystemAttributes"),
            )
        except SQSException as error:
            failed.append(_failure(entry, error))
        else:
            message.user_id = entry["Id"]
            sent.append(message)
    return sent, failed


def receive_message(
    backend: SQSBackend,
    queue_name: str,
    count: int,
    wait_seconds_timeout: int,
    visibility_timeout: int,
    message_attribute_names: list[str] | None = None,
) -> list[SqsMessage]:
    # By both clocks: a jump ahead ends the wait, and setting the clock back does not prolong it.
    virtual_end = time.time() + wait_seconds_timeout
    real_end = time.monotonic() + wait_seconds_timeout
    with changed:
        while True:
            queue = backend.get_queue(queue_name)
            received = _take(queue, count, visibility_timeout)
            left = min(virtual_end - time.time(), real_end - time.monotonic())
            if received or left <= 0:
                break
            changed.wait(pause([store_of(queue)], left))
    for message in received:
        as_moto: Any = message  # which the function reads and sets one field of
        _filter_message_attributes(as_moto, message_attribute_names or [])
    return received


def _take(queue: Queue, count: int, visibility_timeout: int) -> list[SqsMessage]:
    store = settled(queue)
    taken: list[StoredMessage] = []
    while len(taken) < count and (message := store.take()) is not None:
        if _exceeds_receive_count(queue, message):
            _move_to_dead_letters(queue, message)
        else:
            taken.append(message)
    now = time.time()
    for message in taken:  # only now, or with a visibility of 0 one would be received twice
        _mark_received(queue, message, now)
        if visibility_timeout:
            store.hold(message, now + visibility_timeout)
        else:
            store.release(message)
    return [copy for m in taken if isinstance(copy := receipt_copy(m), SqsMessage)]


def _exceeds_receive_count(queue: Queue, message: StoredMessage) -> bool:
    if queue.dead_letter_queue is None or not queue.redrive_policy:
        return False
    return message.approximate_receive_count >= int(queue.redrive_policy["maxReceiveCount"])


def _move_to_dead_letters(queue: Queue, message: StoredMessage) -> None:
    target = queue.dead_letter_queue
    if target is None:
        return
    store_of(queue).remove(message)
    message.approximate_receive_count = 0
    message.approximate_first_receive_timestamp = None
    message.receipt_handle = None
    retention = _number(target, "message_retention_period")
    message.expires_at = message.sent_timestamp / 1000 + retention
    store_of(target).add(message)
    changed.notify_all()


def _mark_received(queue: Queue, message: StoredMessage, now: float) -> None:
    message.approximate_receive_count += 1
    message.received_at = now
    message.receipt_handle = sqs_message.new_receipt_handle(queue, message)
    if message.approximate_first_receive_timestamp is None:
        message.approximate_first_receive_timestamp = int(now * 1000)


def _message_of(queue: Queue, receipt_handle: str) -> StoredMessage | None:
    """The message whose newest receipt handle this is."""
    message = settled(queue).get(sqs_message.message_id_of(queue, receipt_handle))
    return message if message and message.receipt_handle == receipt_handle else None


def delete_message(backend: SQSBackend, queue_name: str, receipt_handle: str) -> None:
    """Accepts a stale handle, and one of a deleted message, without deleting anything."""
    with changed:
        queue = backend.get_queue(queue_name)
        message = _message_of(queue, receipt_handle)
        if message is not None:
            store_of(queue).remove(message)


def change_message_visibility(
    backend: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int
) -> None:
    with changed:
        queue = backend.get_queue(queue_name)
        message = _message_of(queue, receipt_handle)
        if message is None:
            raise InvalidParameterValue(
                f"Value {receipt_handle} for parameter ReceiptHandle is invalid. Reason: Message "
                "does not exist or is not available for visibility timeout change."
            )
        if message.state != IN_FLIGHT:
            raise SQSException(
                "AWS.SimpleQueueService.MessageNotInflight", "The message is not in flight."
            )
        _set_visibility(queue, message, int(visibility_timeout))


def _set_visibility(queue: Queue, message: StoredMessage, seconds: int) -> None:
    until = time.time() + seconds
    if seconds < 0 or until - message.received_at > MAXIMUM_VISIBILITY_TIMEOUT + 1:
        raise InvalidParameterValue(
            f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total "
            "VisibilityTimeout for the message is beyond the limit [43200 seconds]"
        )
    if seconds:
        store_of(queue).hold(message, until)
    else:
        store_of(queue).release(message)
    changed.notify_all()


def _by_entry(
    entries: list[dict[str, Any]], act: Callable[[dict[str, Any]], None]
) -> tuple[list[str], list[Failure]]:
    sqs_message.check_batch(entries)
    done: list[str] = []
    failed: list[Failure] = []
    for entry in entries:
        try:
            act(entry)
        except SQSException as error:
            failed.append(_failure(entry, error))
        else:
            done.append(entry["Id"])
    return done, failed


def _failure(entry: dict[str, Any], error: SQSException) -> Failure:
    code, message = error.code, str(error.message)
    return {"Id": entry["Id"], "SenderFault": True, "Code": code, "Message": message}


def delete_message_batch(
    backend: SQSBackend, queue_name: str, receipts: list[dict[str, Any]]
) -> tuple[list[str], list[Failure]]:
    return _by_entry(
        receipts, lambda entry: delete_message(backend, queue_name, entry["ReceiptHandle"])
    )


def change_message_visibility_batch(
    backend: SQSBackend, queue_name: str, entries: list[dict[str, Any]]
) -> tuple[list[str], list[Failure]]:
    return _by_entry(
        entries,
        lambda entry: change_message_visibility(
            backend, queue_name, entry["ReceiptHandle"], entry.get("VisibilityTimeout", 0)
        ),
    )
