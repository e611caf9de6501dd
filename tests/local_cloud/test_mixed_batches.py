"""The trials that decided how our worker behaves.

In one batch three healthy messages, one that fails once, one that fails twice and one that always
does, with and without ReportBatchItemFailures.
"""

from collections import Counter
from typing import Any

import pytest
from chalice.app import SQSEvent

from infra.local.mapping import Client
from tests.local_cloud.world import RECEIVES, World, failing

MIXED = {"healthy-1": 0, "healthy-2": 0, "healthy-3": 0, "once": 1, "twice": 2, "always": 99}


class Worker:
    def __init__(self, sqs: Client, url: str) -> None:
        self.sqs, self.url = sqs, url
        self.tried: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def fails(self, record: dict[str, Any]) -> bool:
        body = record["body"]
        self.tried[body] += 1
        if self.tried[body] <= MIXED[body]:
            return True
        self.done[body] += 1
        return False

    def raises_at_the_first(self, event: SQSEvent) -> object:
        for record in event.to_dict()["Records"]:
            if self.fails(record):
                raise LookupError(record["body"])
        return None

    def returns_failures(self, event: SQSEvent) -> object:
        return failing(
            [record["messageId"] for record in event.to_dict()["Records"] if self.fails(record)]
        )

    def deletes_successes_then_raises(self, event: SQSEvent) -> object:
        failed = []
        for record in event.to_dict()["Records"]:
            if self.fails(record):
                failed.append(record)
            else:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])
        if failed:
            raise LookupError(f"{len(failed)} failed")
        return None


@pytest.mark.parametrize(
    ("way", "report", "done", "dead"),
    [
        ("returns_failures", False, 3, []),  # three of six lost
        ("returns_failures", True, 5, ["always"]),  # right
        ("deletes_successes_then_raises", False, 5, ["always"]),  # right
        ("deletes_successes_then_raises", True, 5, ["always"]),  # right
    ],
)
def test_what_becomes_of_a_mixed_batch(
    world: World, *, way: str, report: bool, done: int, dead: list[str]
) -> None:
    worker = Worker(world.sqs, world.url)
    world.answer = getattr(worker, way)
    world.send(*MIXED)
    world.until_nothing_comes_back(world.mapping(report=report))
    assert (len(worker.done), world.dead(), world.left()) == (done, dead, 0)
    assert set(worker.done.values()) == {1}


@pytest.mark.parametrize("report", [False, True])
def test_a_worker_that_raises_at_once_repeats_the_healthy_and_loses_them_all_to_the_dead_queue(
    world: World, *, report: bool
) -> None:
    worker = Worker(world.sqs, world.url)
    world.answer = lambda event: worker.raises_at_the_first(_healthy_first(event))
    world.send(*MIXED)
    world.until_nothing_comes_back(world.mapping(report=report))
    assert world.dead() == sorted(MIXED)
    assert worker.done["healthy-1"] == RECEIVES


def _healthy_first(event: SQSEvent) -> SQSEvent:
    records = sorted(event.to_dict()["Records"], key=lambda record: MIXED[record["body"]])
    return SQSEvent({"Records": records}, event.context)
