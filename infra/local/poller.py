"""Polls mappings: in threads until stopped, or in this thread until the queues are empty."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.mapping import Client, Mapping

WaitForMessage: TypeAlias = Callable[[Sequence[str], float], Sequence[str]]

IDLE_SECONDS = 1  # the longest sleep of an idle thread
PAUSE_SECONDS = 0.05  # after an empty long poll, which an endpoint may answer at once
WAKE_SECONDS = 0.05  # between two calls that wake the threads
DRAIN_LIMIT = 100_000  # deliveries after which drain() gives up


def drain(
    mappings: Sequence[Mapping], sqs: Client, wait_for_message: WaitForMessage | None = None
) -> int:
    """Delivers in this thread until no queue has a visible message; returns the deliveries.

    Messages that a function sends meanwhile are delivered too; those that failed stay hidden for
    their visibility timeout. A queue that cannot be reached is reported and skipped. With
    `wait_for_message`, empty queues are not polled.
    """

    def polled(mapping: Mapping) -> int:
        waits = wait_for_message is None or wait_for_message([mapping.queue_name], 0)
        return _polled(mapping, sqs) if waits else 0

    total = 0
    while delivered := sum(polled(mapping) for mapping in mappings):
        total += delivered
        if total > DRAIN_LIMIT:
            raise RuntimeError(f"the queues are still not empty after {total} deliveries")
    return total


def _polled(mapping: Mapping, sqs: Client) -> int:
    try:
        return mapping.poll_once(sqs)
    except (BotoCoreError, ClientError) as error:
        mapping.on_error(mapping.function_name, error)
        return 0


class Poller:
    """Threads that deliver until stopped.

    `wait_for_message(queue names, seconds)` waits until one of the queues has a visible message,
    and returns those that have. It returns at once if there is one already, so that a message
    which arrives between a poll and the wait is not missed. Without it, as in another process, the
    threads use long polls.
    """

    def __init__(
        self,
        mappings: Sequence[Mapping],
        sqs: Client,
        wait_for_message: WaitForMessage | None = None,
    ) -> None:
        self._sqs = sqs
        self._wait_for_message = wait_for_message
        self._stopping = threading.Event()
        self._turns = {mapping.queue_name: threading.Lock() for mapping in mappings}
        self._threads = [
            threading.Thread(
                target=self._run, args=[mapping], daemon=True, name=f"{mapping.queue_name}-{number}"
            )
            for mapping in mappings
            for number in range(mapping.concurrency)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, wake: Callable[[], object] = lambda: None) -> None:
        """Starts no further invocation, and returns when those under way have ended.

        `wake` wakes the threads that wait for a message.
        """
        self._stopping.set()
        for thread in self._threads:
            while thread.is_alive():  # repeated, since it may be about to wait
                wake()
                thread.join(WAKE_SECONDS)

    def _run(self, mapping: Mapping) -> None:
        while not self._stopping.is_set():
            try:
                self._work(mapping)
            except Exception as error:  # noqa: BLE001  # reported, then tried again, as on Lambda
                mapping.on_error(mapping.function_name, error)
                self._stopping.wait(IDLE_SECONDS)

    def _work(self, mapping: Mapping) -> None:
        fill_seconds = mapping.batching_window_seconds
        if self._wait_for_message is None:
            if not mapping.poll_once(self._sqs, IDLE_SECONDS, fill_seconds):
                self._stopping.wait(PAUSE_SECONDS)
            return
        names = [mapping.queue_name]
        if not self._wait_for_message(names, IDLE_SECONDS) or self._stopping.is_set():
            return
        with mapping.polls:
            # One message wakes all threads of its queue. Checking one after the other whether any
            # is left is cheaper than a receive for nothing, which costs more than some jobs.
            with self._turns[mapping.queue_name]:
                is_left = self._wait_for_message(names, 0)
                messages = mapping.receive(self._sqs, 0, fill_seconds) if is_left else []
            mapping.deliver(self._sqs, messages)
