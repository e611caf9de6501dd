"""Lambda's event source mapping: receives messages from a queue and invokes a function with them.

moto's own mapping supports neither partial failures nor attributes, and its receive count is always
1.

1. A poll receives a batch and calls the function with the event that Lambda would build.
2. Messages that succeeded are deleted. Those that failed become visible again when their
   visibility timeout ends, and in the end move to the dead-letter queue by the queue's policy.
3. poller.py polls in as many threads as the mapping's concurrency, or in the caller's thread.

Unlike on Lambda, a function that exceeds its timeout is not killed, since a thread cannot be.
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

import base64
import json
import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import Chalice, SQSEventConfig

from infra.local import log
from infra.local.activity import Activity

Client: TypeAlias = Any  # a botocore client, whose methods exist only at run time
Message: TypeAlias = dict[str, Any]
Event: TypeAlias = dict[str, Any]
Function: TypeAlias = Callable[[Event, "LambdaContext"], object]
OnError: TypeAlias = Callable[[str, BaseException], None]

RECEIVE_LIMIT = 10  # messages that SQS receives or deletes in one call
FILL_STEP_SECONDS = 1  # the longest receive while a batch fills
FUNCTION_TIMEOUT_SECONDS = 60


class MalformedAnswerError(ValueError):
    """An invalid answer to ReportBatchItemFailures: Lambda treats the whole batch as failed."""


class LambdaContext:
    """Lambda's context; the remaining time is measured by the monotonic clock."""

    function_version = "$LATEST"
    identity = None
    client_context = None

    def __init__(
        self,
        function_name: str,
        region: str,
        account: str,
        timeout_seconds: float,
        memory_limit_in_mb: int = 256,
    ) -> None:
        self.function_name = function_name
        self.invoked_function_arn = f"arn:aws:lambda:{region}:{account}:function:{function_name}"
        self.memory_limit_in_mb = memory_limit_in_mb
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = f"local/[$LATEST]{self.aws_request_id}"
        self._ends = time.monotonic() + timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._ends - time.monotonic()) * 1000))


@dataclass(frozen=True)
class Mapping:
    queue_name: str
    queue_url: str
    queue_arn: str
    function_name: str
    function: Function
    batch_size: int = 10
    batching_window_seconds: int = 0  #: how long a poller waits for a batch to fill up
    concurrency: int = 2  #: the highest number of invocations at once
    visibility_timeout_seconds: int = 360
    function_timeout_seconds: int = FUNCTION_TIMEOUT_SECONDS
    report_batch_item_failures: bool = False
    on_error: OnError = log.failure  #: called with the function's name and the error
    #: all polls, and those that delivered messages
    polls: Activity = field(default_factory=Activity, init=False, repr=False, compare=False)
    deliveries: Activity = field(default_factory=Activity, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.visibility_timeout_seconds < self.function_timeout_seconds:
            raise ValueError(
                f"{self.queue_name}: its visibility timeout is shorter than the "
                f"timeout of {self.function_name}; Lambda refuses the mapping"
            )
        if self.batch_size > RECEIVE_LIMIT and not self.batching_window_seconds:
            raise ValueError(
                f"{self.queue_name}: a batch of more than {RECEIVE_LIMIT} "
                "needs a batching window; Lambda refuses the mapping"
            )

    def poll_once(self, sqs: Client, wait_seconds: int = 0, fill_seconds: int = 0) -> int:
        """Delivers one batch; returns the number of messages.

        Waits up to wait_seconds for the first message and up to fill_seconds for a full batch.
        """
        with self.polls:
            messages = self.receive(sqs, wait_seconds, fill_seconds)
            self.deliver(sqs, messages)
            return len(messages)

    def deliver(self, sqs: Client, messages: list[Message]) -> None:
        """Calls the function, unless there are no messages, and deletes those that succeeded."""
        if messages:
            with self.deliveries:
                self._delete(sqs, self._process(messages))

    def receive(self, sqs: Client, wait_seconds: int, fill_seconds: int) -> list[Message]:
        """Receives a batch; waits as described at `poll_once`."""
        messages = self._take(sqs, self.batch_size, wait_seconds)
        until = time.monotonic() + fill_seconds
        while messages and self.batching_window_seconds and len(messages) < self.batch_size:
            left = max(0, math.ceil(until - time.monotonic()))
            more = self._take(sqs, self.batch_size - len(messages), min(left, FILL_STEP_SECONDS))
            messages += more
            if not more and time.monotonic() >= until:
                break
        return messages

    def _take(self, sqs: Client, limit: int, wait_seconds: int) -> list[Message]:
        answer = sqs.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=min(limit, RECEIVE_LIMIT),
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    def _process(self, messages: list[Message]) -> list[Message]:
        """Invokes the function; returns the messages that succeeded."""
        try:
            answer = self._invoke({"Records": [self._record(message) for message in messages]})
            ids = {message["MessageId"] for message in messages}
            failed = failures(answer, ids) if self.report_batch_item_failures else set()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a crash ends the function only
            self.on_error(self.function_name, error)
            return []
        return [message for message in messages if message["MessageId"] not in failed]

    def _invoke(self, event: Event) -> object:
        """Passes event and answer as JSON, so that another answer fails as it does on Lambda."""
        region, account = self.queue_arn.split(":")[3:5]
        context = LambdaContext(self.function_name, region, account, self.function_timeout_seconds)
        answer = self.function(json.loads(json.dumps(event)), context)
        return json.loads(json.dumps(answer))

    def _record(self, message: Message) -> Event:
        record = {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {
                name: _attribute(value)
                for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.queue_arn,
            "awsRegion": self.queue_arn.split(":")[3],
        }
        if "MD5OfMessageAttributes" in message:
            record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
        return record

    def _delete(self, sqs: Client, messages: list[Message]) -> None:
        """Reports messages that cannot be deleted; they are delivered again, as on Lambda."""
        for start in range(0, len(messages), RECEIVE_LIMIT):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages[start : start + RECEIVE_LIMIT])
            ]
            try:
                answer = sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries)
                if failed := answer.get("Failed"):
                    self.on_error(self.function_name, RuntimeError(f"not deleted: {failed}"))
            except (BotoCoreError, ClientError) as error:
                self.on_error(self.function_name, error)


def _attribute(value: dict[str, Any]) -> Event:
    shaped: Event = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        shaped["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        shaped["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return shaped


def failures(answer: object, delivered: set[str]) -> set[str]:
    """The ids of the failed messages. Raises MalformedAnswerError for an invalid answer."""
    if not answer:
        return set()
    if not isinstance(answer, dict):
        raise MalformedAnswerError(f"not an object: {answer!r}")
    items = answer.get("batchItemFailures") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedAnswerError(f"not a list of objects: {items!r}")
    ids = [item.get("itemIdentifier") for item in items]
    if unknown := [id_ for id_ in ids if not isinstance(id_, str) or id_ not in delivered]:
        raise MalformedAnswerError(f"not an id of this batch: {unknown!r}")
    return {id_ for id_ in ids if isinstance(id_, str)}


def mappings_of(
    app: Chalice,
    sqs: Client,
    *,
    stage: str = "local",
    function_timeout_seconds: int | None = None,
    report_batch_item_failures: bool = False,
    default_concurrency: int = 5,
    on_error: OnError = log.failure,
) -> list[Mapping]:
    """One mapping for every function that the app registered with `on_sqs_message`.

    A function's timeout is one minute by default, or the visibility timeout of its queue if that
    is shorter.
    """
    return [
        Mapping(
            **_queue(sqs, _queue_name(source), function_timeout_seconds),
            function_name=f"{app.app_name}-{stage}-{source.name}",
            function=app.handler_map[source.name],
            batch_size=source.batch_size,
            batching_window_seconds=source.maximum_batching_window_in_seconds,
            concurrency=source.maximum_concurrency or default_concurrency,
            report_batch_item_failures=report_batch_item_failures,
            on_error=on_error,
        )
        for source in app.event_sources
        if isinstance(source, SQSEventConfig)
    ]


def _queue_name(source: SQSEventConfig) -> str:
    return source.queue or str(source.queue_arn).rpartition(":")[2]


def _queue(sqs: Client, name: str, function_timeout_seconds: int | None) -> dict[str, Any]:
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=["QueueArn", "VisibilityTimeout"]
    )["Attributes"]
    visibility_seconds = int(attributes["VisibilityTimeout"])
    return {
        "queue_name": name,
        "queue_url": url,
        "queue_arn": attributes["QueueArn"],
        "visibility_timeout_seconds": visibility_seconds,
        "function_timeout_seconds": function_timeout_seconds
        or min(FUNCTION_TIMEOUT_SECONDS, visibility_seconds),
    }
