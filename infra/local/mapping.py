"""Queues to functions, with the semantics of Lambda's own event source mapping.

moto's mapping knows neither partial failures nor attributes and always says receive count 1.

1. A poll receives a batch and calls the function with the event that Lambda would build.
2. What succeeded is deleted. What failed is left alone: it comes back when its visibility ends,
   with a higher receive count, and moves to the dead-letter queue by the queue's own policy.
3. poller.py does this in threads, as many as the mapping's concurrency, or on the spot.

Unlike Lambda, a function that overstays its timeout is not killed: a thread cannot be.
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

RECEIVE_LIMIT = 10  # messages that SQS gives or deletes in one call
FILL_STEP_SECONDS = 1  # of one receive, while a batch fills up
FUNCTION_TIMEOUT_SECONDS = 60


class MalformedAnswerError(ValueError):
    """A function with ReportBatchItemFailures answered what Lambda takes for a failed batch."""


class LambdaContext:
    """What Lambda hands to a function beside the event; time is left by the monotonic clock."""

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
    concurrency: int = 2  #: most invocations at once
    visibility_timeout_seconds: int = 360
    function_timeout_seconds: int = FUNCTION_TIMEOUT_SECONDS
    report_batch_item_failures: bool = False
    on_error: OnError = log.failure  #: told the function's name and what it raised
    #: polls, and those of them that delivered
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
        """How many messages were delivered, to at most one invocation.

        It waits up to wait_seconds for a first message and up to fill_seconds for a full batch.
        """
        with self.polls:
            messages = self.receive(sqs, wait_seconds, fill_seconds)
            self.deliver(sqs, messages)
            return len(messages)

    def deliver(self, sqs: Client, messages: list[Message]) -> None:
        """Calls the function, if there are any messages, and deletes those it has done with."""
        if messages:
            with self.deliveries:
                self._delete(sqs, self._done(messages))

    def receive(self, sqs: Client, wait_seconds: int, fill_seconds: int) -> list[Message]:
        """A batch, waiting as long as `poll_once` says."""
        messages = self._take(sqs, self.batch_size, wait_seconds)
        until = time.monotonic() + fill_seconds
        while messages and self.batching_window_seconds and len(messages) < self.batch_size:
            left = max(0, math.ceil(until - time.monotonic()))
            more = self._take(sqs, self.batch_size - len(messages), min(left, FILL_STEP_SECONDS))
            messages += more
            if not more and time.monotonic() >= until:
                break
        return messages

    def _take(self, sqs: Client, most: int, wait_seconds: int) -> list[Message]:
        answer = sqs.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=min(most, RECEIVE_LIMIT),
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    def _done(self, messages: list[Message]) -> list[Message]:
        """The messages that the function has done with."""
        try:
            answer = self._invoke({"Records": [self._record(each) for each in messages]})
            ids = {each["MessageId"] for each in messages}
            failed = failures(answer, ids) if self.report_batch_item_failures else set()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a crash ends the function, not us
            self.on_error(self.function_name, error)
            return []
        return [each for each in messages if each["MessageId"] not in failed]

    def _invoke(self, event: Event) -> object:
        """Event and answer pass as JSON, so an answer that is none fails as it does on Lambda."""
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
        """What SQS does not delete is told, and comes back as it would on Lambda."""
        for start in range(0, len(messages), RECEIVE_LIMIT):
            entries = [
                {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]}
                for number, each in enumerate(messages[start : start + RECEIVE_LIMIT])
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
    """The ids that an answer names as failed. Raises MalformedAnswerError when all of them are."""
    if not answer:
        return set()
    if not isinstance(answer, dict):
        raise MalformedAnswerError(f"not an object: {answer!r}")
    items = answer.get("batchItemFailures") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedAnswerError(f"not a list of objects: {items!r}")
    named = [item.get("itemIdentifier") for item in items]
    if unknown := [each for each in named if not isinstance(each, str) or each not in delivered]:
        raise MalformedAnswerError(f"not an id of this batch: {unknown!r}")
    return {each for each in named if isinstance(each, str)}


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
    """One mapping for each function that the app registered with `on_sqs_message`.

    The functions' timeout is a minute unless named, or the visibility of a queue that has less.
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
    visible = int(attributes["VisibilityTimeout"])
    return {
        "queue_name": name,
        "queue_url": url,
        "queue_arn": attributes["QueueArn"],
        "visibility_timeout_seconds": visible,
        "function_timeout_seconds": function_timeout_seconds
        or min(FUNCTION_TIMEOUT_SECONDS, visible),
    }
