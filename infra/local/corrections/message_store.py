"""The messages of one queue: waiting, delayed or in flight.

A message is in `_ready` (turns.py: message groups take turns) or in `_later` (a heap by the time at
which it becomes visible). An entry is stale when its version is not the message's; it is dropped
when it reaches the top, so taking and deleting take the same time however many messages there are.
Callers hold the lock of sqs_queues.py.
"""

import copy
import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from infra.local.corrections.turns import Turns

WAITING, DELAYED, IN_FLIGHT, GONE = "waiting", "delayed", "in_flight", "gone"


class Counts(NamedTuple):
    waiting: int  #: visible to the next receive
    in_flight: int  #: received, not yet deleted, still hidden
    delayed: int  #: sent, not yet visible for the first time


@dataclass(eq=False)
class StoredMessage:
    id: str
    body: str
    message_attributes: dict[str, Any]
    system_attributes: dict[str, Any]
    group_id: str | None
    sent_timestamp: int  #: milliseconds; a move to a dead-letter queue keeps it
    approximate_first_receive_timestamp: int | None = None  #: milliseconds
    approximate_receive_count: int = 0
    receipt_handle: str | None = None  #: the newest, the only valid one
    received_at: float = 0.0  #: seconds; it can be hidden for 12 hours from here
    state: str = GONE
    version: int = 0  #: increases with every move; an entry with another version is stale
    expires_at: float = field(default=0.0)  #: seconds


class MessageStore:
    def __init__(self) -> None:
        self._messages: dict[str, StoredMessage] = {}
        self._numbers = {WAITING: 0, DELAYED: 0, IN_FLIGHT: 0}
        self._ready = Turns()
        self._later: list[tuple[float, int, StoredMessage, int]] = []
        self._by_expiry: list[tuple[float, int, StoredMessage]] = []
        self._serial = itertools.count()  # breaks ties in the heaps, messages have no order

    def get(self, message_id: str) -> StoredMessage | None:
        return self._messages.get(message_id)

    def __iter__(self) -> Iterator[StoredMessage]:
        return iter(list(self._messages.values()))

    def counts(self) -> Counts:
        numbers = self._numbers
        return Counts(numbers[WAITING], numbers[IN_FLIGHT], numbers[DELAYED])

    def add(self, message: StoredMessage, *, visible_at: float | None = None) -> None:
        """Adds a message that is hidden until `visible_at`, or visible at once if that is None."""
        self._messages[message.id] = message
        heapq.heappush(self._by_expiry, (message.expires_at, next(self._serial), message))
        if visible_at is None:
            self._wait(message)
        else:
            self._hide(message, DELAYED, visible_at)

    def take(self) -> StoredMessage | None:
        """The message whose turn it is, or None; the caller then holds, releases or removes it."""
        message: StoredMessage | None = self._ready.take()
        return message

    def hold(self, message: StoredMessage, until: float) -> None:
        self._hide(message, IN_FLIGHT, until)

    def release(self, message: StoredMessage) -> None:
        self._wait(message)

    def remove(self, message: StoredMessage) -> None:
        if self._messages.pop(message.id, None) is message:
            self._move(message, GONE)

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]  # an empty store is a new store

    def settle(self, now: float) -> None:
        """Shows messages that have become visible and deletes those past their retention."""
        while self._later and self._later[0][0] <= now:
            _, _, message, version = heapq.heappop(self._later)
            if message.version == version:
                self._wait(message)
        while self._by_expiry and self._by_expiry[0][0] <= now:
            self.remove(heapq.heappop(self._by_expiry)[2])

    def next_visible_at(self) -> float | None:
        """When the next hidden message becomes visible, or earlier; None if none is hidden."""
        return self._later[0][0] if self._later else None

    def retain(self, seconds: int) -> None:
        """Applies a new retention period to all messages."""
        for message in self._messages.values():
            message.expires_at = message.sent_timestamp / 1000 + seconds
        self._order_by_expiry()

    def _wait(self, message: StoredMessage) -> None:
        self._move(message, WAITING)
        self._ready.add(message)

    def _hide(self, message: StoredMessage, state: str, until: float) -> None:
        self._move(message, state)
        heapq.heappush(self._later, (until, next(self._serial), message, message.version))

    def _move(self, message: StoredMessage, state: str) -> None:
        if message.state != GONE:
            self._numbers[message.state] -= 1
        if state != GONE:
            self._numbers[state] += 1
        message.state = state
        message.version += 1
        self._forget_stale()

    def _forget_stale(self) -> None:
        limit = 2 * len(self._messages) + 100
        if len(self._later) > limit:
            self._later = [entry for entry in self._later if entry[2].version == entry[3]]
            heapq.heapify(self._later)
        if len(self._ready) > limit:
            self._ready.forget_stale()
        if len(self._by_expiry) > limit:
            self._order_by_expiry()

    def _order_by_expiry(self) -> None:
        self._by_expiry = [
            (message.expires_at, next(self._serial), message) for message in self._messages.values()
        ]
        heapq.heapify(self._by_expiry)


def receipt_copy(message: StoredMessage) -> StoredMessage:
    """A copy for the receiver, which later events do not change."""
    return copy.copy(message)
