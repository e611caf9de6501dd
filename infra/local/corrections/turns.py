"""The waiting messages of a queue: message groups take turns, and each gives its oldest first.

This is a model of SQS's fair queues. AWS takes the MessageGroupId of a standard queue for a tenant,
and a message without one for a tenant of its own. A tenant that has more than its share of the
messages in flight, or of the time that they take, is a noisy neighbour, whose messages are held
back while others wait. Here groups take turns from the first message on: no share is measured,
and a group without others gets all turns. AWS promises no order, and acts only when there are some
30 messages in flight, so nothing may rely on this order.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html
"""

import itertools
from collections import deque
from typing import Any, NamedTuple


class Entry(NamedTuple):
    number: int  #: increases from one entry to the next
    message: Any  #: a StoredMessage
    version: int  #: the entry is stale when the message has another version

    @property
    def is_stale(self) -> bool:
        return bool(self.message.version != self.version)


class Turns:
    """Adding and taking cost the same however many messages and groups there are."""

    def __init__(self) -> None:
        self._groups: dict[str, deque[Entry]] = {}  # none is empty
        self._next: deque[str] = deque()  # every group once
        self._numbers = itertools.count()
        self._length = 0

    def __len__(self) -> int:
        """The number of entries, stale ones included."""
        return self._length

    def add(self, message: Any) -> None:
        """Behind the others of its group."""
        entry = Entry(next(self._numbers), message, message.version)
        group = message.group_id or message.id
        if group not in self._groups:
            self._groups[group] = deque()
            self._next.append(group)
        self._groups[group].append(entry)
        self._length += 1

    def take(self) -> Any:
        """The message whose turn it is, or None."""
        while self._next:
            group = self._next.popleft()
            entry = self._first(self._groups[group])
            if self._groups[group]:
                self._next.append(group)
            else:
                del self._groups[group]
            if entry is not None:
                return entry.message
        return None

    def _first(self, entries: deque[Entry]) -> Entry | None:
        while entries:
            entry = entries.popleft()
            self._length -= 1
            if not entry.is_stale:
                return entry
        return None

    def forget_stale(self) -> None:
        """Drops the stale entries; groups keep their turns."""
        kept = {
            group: deque(entry for entry in self._groups[group] if not entry.is_stale)
            for group in self._next
        }
        self._groups = {group: entries for group, entries in kept.items() if entries}
        self._next = deque(self._groups)
        self._length = sum(map(len, self._groups.values()))
