"""SQS's rules for messages and batches, and its receipt handles.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

import base64
import binascii
import re
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from moto.sqs.constants import MAXIMUM_MESSAGE_LENGTH
from moto.sqs.exceptions import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    InvalidBatchEntryId,
    InvalidParameterValue,
    MissingParameter,
    ReceiptHandleIsInvalid,
    SQSException,
    TooManyEntriesInBatchRequest,
)
from moto.sqs.models import DEFAULT_SENDER_ID, Message, Queue

from infra.local.corrections.message_store import StoredMessage

MAX_DELAY_SECONDS = 900
MAX_BATCH_ENTRIES = 10
_REFUSED_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_GROUP_ID = re.compile(r"[!-~]{1,128}")
_ENTRY_ID = re.compile(r"[\w-]{1,80}", re.ASCII)


@dataclass(eq=False)
class SqsMessage(StoredMessage):
    """A stored message with the attributes that moto's responses read."""

    deduplication_id: str | None = None
    sequence_number: str | None = None
    user_id: str | None = None  #: the entry's Id in the batch that sent it
    sender_id: str = DEFAULT_SENDER_ID

    # moto's own methods: they need `body` and `message_attributes` only.
    body_md5 = Message.body_md5
    attribute_md5 = Message.attribute_md5
    update_binary_length_and_value = staticmethod(Message.update_binary_length_and_value)
    validate_attribute_name = staticmethod(Message.validate_attribute_name)
    utf8 = staticmethod(Message.utf8)


def new_message(
    body: str, attributes: dict[str, Any] | None, system: dict[str, Any] | None, group: str | None
) -> SqsMessage:
    return SqsMessage(
        id=str(uuid.uuid4()),
        body=body,
        message_attributes=attributes or {},
        system_attributes=system or {},
        group_id=group,
        sent_timestamp=0,
    )


def new_receipt_handle(queue: Queue, message: StoredMessage) -> str:
    text = f"{queue.name}/{message.id}/{secrets.token_hex(12)}"
    return base64.b64encode(text.encode()).decode()


def message_id_of(queue: Queue, receipt_handle: str) -> str:
    """Raises ReceiptHandleIsInvalid for a handle that is not from this queue."""
    try:
        name, message_id, _ = base64.b64decode(receipt_handle, validate=True).decode().split("/")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise ReceiptHandleIsInvalid from None
    if name != queue.name:
        raise ReceiptHandleIsInvalid
    return message_id


def size_bytes(body: str, attributes: dict[str, Any] | None) -> int:
    size = len(body.encode())
    for name, value in (attributes or {}).items():
        content = value.get("StringValue", value.get("BinaryValue", ""))
        content = content.encode() if isinstance(content, str) else content
        size += len(name.encode()) + len(value["DataType"].encode()) + len(content)
    return size


def check_message(queue: Queue, body: str, attributes: dict[str, Any] | None) -> None:
    limit = queue.maximum_message_size  # type: ignore[attr-defined]  # moto sets it by setattr
    if not body:
        raise MissingParameter("MessageBody")
    if size_bytes(body, attributes) > limit:
        raise InvalidParameterValue(
            "One or more parameters are invalid. "
            f"Reason: Message must be shorter than {limit} bytes."
        )
    if _REFUSED_CHARACTERS.search(body):
        raise SQSException(
            "InvalidMessageContents", "Invalid characters were found in the message."
        )


def check_delay(seconds: int) -> None:
    if not 0 <= seconds <= MAX_DELAY_SECONDS:
        raise InvalidParameterValue(
            f"Value {seconds} for parameter DelaySeconds is invalid. "
            "Reason: DelaySeconds must be >= 0 and <= 900."
        )


def check_group(group: str | None) -> None:
    if group is not None and not _GROUP_ID.fullmatch(group):
        raise InvalidParameterValue(
            f"Value {group} for parameter MessageGroupId is invalid. Reason: MessageGroupId can "
            "only include alphanumeric and punctuation characters. 1 to 128 in length."
        )


def check_batch(entries: list[dict[str, Any]]) -> None:
    """The rules that all three batch operations share."""
    if len(entries) > MAX_BATCH_ENTRIES:
        raise TooManyEntriesInBatchRequest(len(entries))
    seen: set[str] = set()
    for entry in entries:
        if not _ENTRY_ID.fullmatch(entry["Id"]):
            raise InvalidBatchEntryId
        if entry["Id"] in seen:
            raise BatchEntryIdsNotDistinct(entry["Id"])
        seen.add(entry["Id"])


def check_batch_size(entries: list[dict[str, Any]]) -> None:
    total = sum(size_bytes(e["MessageBody"], e.get("MessageAttributes")) for e in entries)
    if total > MAXIMUM_MESSAGE_LENGTH:
        raise BatchRequestTooLong(total)
