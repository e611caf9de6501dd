"""Waiting for a message: long polls and pollers wake up in time and do not hold the lock."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infra.local import clock
from infra.local.corrections import sqs_queues
from tests.emulator.conftest import receive


def test_a_long_poll_ends_with_the_message_and_does_not_hold_up_others(
    sqs: Any, queue: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        poll = pool.submit(receive, sqs, queue, WaitTimeSeconds=20)
        sqs.send_message(QueueUrl=queue, MessageBody="here")
        assert [m["Body"] for m in poll.result(timeout=5)] == ["here"]
        assert time.monotonic() - started < 2


def test_a_long_poll_ends_when_the_clock_jumps_over_its_end(sqs: Any, queue: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        poll = pool.submit(receive, sqs, queue, WaitTimeSeconds=20)
        while not poll.done():
            clock.advance(21)
        assert poll.result() == []
        assert time.monotonic() - started < 10


def test_a_waiter_wakes_for_a_send_a_jump_and_a_shown_message(sqs: Any, queue: str) -> None:
    def waiting() -> Any:
        return pool.submit(sqs_queues.wait_for_message, ["jobs", "jobs-dead"], 5)

    with ThreadPoolExecutor(1) as pool:
        waiter = waiting()
        sqs.send_message(QueueUrl=queue, MessageBody="x")
        assert waiter.result() == ["jobs"]
        handle = receive(sqs, queue)[0]["ReceiptHandle"]
        waiter = waiting()
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)
        assert waiter.result() == ["jobs"]
        receive(sqs, queue)
        clock.advance(361)
        assert waiting().result() == ["jobs"]
        receive(sqs, queue, VisibilityTimeout=1)
        started = time.monotonic()
        assert waiting().result() == ["jobs"]
        assert time.monotonic() - started < 2
    assert sqs_queues.wait_for_message(["jobs-dead"], 0.01) == []


def test_wake_all_lets_every_waiter_look_around(sqs: Any, queue: str) -> None:
    begun = threading.Event()

    def wait() -> list[str]:
        begun.set()
        return sqs_queues.wait_for_message(["jobs"], 30)

    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        waiter = pool.submit(wait)
        begun.wait()
        while not waiter.done():
            sqs_queues.wake_all()
        assert waiter.result() == []
        assert time.monotonic() - started < 15
