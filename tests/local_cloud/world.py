"""What tests of the mapping need: two queues, an app, a clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import time_machine
from chalice.app import Chalice, SQSEvent

from infra.local.mapping import Client, Mapping, mappings_of
from infra.local.poller import drain

VISIBILITY_SECONDS = 360
RECEIVES = 4  # deliveries before a message moves to the dead-letter queue
Answer = Callable[[SQSEvent], object]


@dataclass
class World:
    """A queue with its dead-letter queue, and an app with one function on it."""

    sqs: Client
    clock: time_machine.Traveller
    account: str
    url: str
    dead_url: str
    answer: Answer = lambda event: None
    events: list[SQSEvent] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = Chalice("shop")

        @self.app.on_sqs_message(queue="parcels", batch_size=10)
        def pack(event: SQSEvent) -> object:
            self.events.append(event)
            return self.answer(event)

    def mapping(self, *, report: bool = False) -> Mapping:
        (only,) = mappings_of(
            self.app,
            self.sqs,
            report_batch_item_failures=report,
            on_error=lambda name, error: self.errors.append(error),
        )
        return only

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def delivered(self) -> list[list[str]]:
        return [[record.body for record in event] for event in self.events]

    def records(self) -> list[dict[str, Any]]:
        return [record for event in self.events for record in event.to_dict()["Records"]]

    def until_nothing_comes_back(self, mapping: Mapping) -> None:
        while drain([mapping], self.sqs):
            self.clock.shift(VISIBILITY_SECONDS + 1)

    def count(self, name: str, url: str | None = None) -> int:
        attribute = f"ApproximateNumberOfMessages{name}"
        answer = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=[attribute])
        return int(answer["Attributes"][attribute])

    def left(self) -> int:
        return self.count("") + self.count("NotVisible")

    def dead(self) -> list[str]:
        answer = self.sqs.receive_message(QueueUrl=self.dead_url, MaxNumberOfMessages=10)
        return sorted(message["Body"] for message in answer.get("Messages", []))


def failing(identifiers: Sequence[object]) -> dict[str, object]:
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}
