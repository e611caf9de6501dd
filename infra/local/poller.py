"""Works mappings: in threads until stopped, or on the spot until nothing is left."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.mapping import Client, Mapping

WaitForMessage: TypeAlias = Callable[[Sequence[str], float], Sequence[str]]

IDLE_SECONDS = 1  # the longest that an idle thread sleeps
PAUSE_SECONDS = 0.05  # after an empty long poll: an endpoint may answer it at once
WAKE_SECONDS = 0.05  # between two calls that end the threads' sleep
DRAIN_LIMIT = 100_000  # deliveries after which drain() takes the queues for a treadmill


def drain(
    mappings: Sequence[Mapping], sqs: Client, wait_for_message: WaitForMessage | None = None
) -> int:
    """Delivers, in this thread, until no queue has anything visible; how many deliveries it took.

    What a function sends meanwhile is delivered too; what failed waits for its visibility, and a
    queue that cannot be reached is told and left. With `wait_for_message` only queues in which
    there is something are polled.
    """

    def polled(mapping: Mapping) -> int:
        waits = wait_for_message is None or wait_for_message([mapping.queue_name], 0)
        return _polled(mapping, sqs) if waits else 0

    total = 0
    while delivered := sum(polled(mapping) for mapping in mappings):
        total += delivered
        if total > DRAIN_LIMIT:
            raise RuntimeError(f"still not at rest after {total} deliveries")
    return total


def _polled(mapping: Mapping, sqs: Client) -> int:
    try:
        return mapping.poll_once(sqs)
    except (BotoCoreError, ClientError) as error:
        mapping.on_error(mapping.function_name, error)
        return 0


class Poller:
    """Threads that deliver until stopped.

    `wait_for_message(queue names, seconds)` sleeps until one of the queues has something visible
    and says which have; it returns at once when that is so already, so that nothing that arrives
    between a poll and the wait is overlooked. Left out, as in a process of its own, the threads
    long-poll instead.
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
        """Returns when the invocations under way have ended; begins no other.

        `wake` ends the sleep of those who wait for a message.
        """
        self._stopping.set()
        for thread in self._threads:
            while thread.is_alive():  # again and again: it may only just be going to sleep
                wake()
                thread.join(WAKE_SECONDS)

    def _run(self, mapping: Mapping) -> None:
        while not self._stopping.is_set():
            try:
                self._work(mapping)
            except Exception as error:  # noqa: BLE001  # told, and tried again, as by Lambda
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
            # One message wakes all threads of its queue; one receives it, the others see in time
            # that nothing is left, since a receive in vain costs more than many a job.
            with self._turns[mapping.queue_name]:
                is_left = self._wait_for_message(names, 0)
                messages = mapping.receive(self._sqs, 0, fill_seconds) if is_left else []
            mapping.deliver(self._sqs, messages)
