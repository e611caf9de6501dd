"""What a standard queue may do to messages: give them in any order, twice, late."""

import random
from collections import deque
from typing import Any

from infra.local.corrections import sqs_queues
from infra.local.corrections.message_store import MessageStore
from infra.local.corrections.sqs_message import SqsMessage, new_message

NAMES = ("notify", "work", "bulk", "feedback")


def full_name(queue: str) -> str:
    return f"backburner-local-{queue}"


def store(queue: str) -> MessageStore:
    """The messages of the queue as they are at this moment."""
    return sqs_queues.settled(sqs_queues.queue_named(full_name(queue)))


def waiting(queue: str) -> int:
    return store(queue).counts().waiting


def unfinished(queue: str) -> int:
    return sum(store(queue).counts())


def next_visible_at(queue: str) -> float | None:
    return store(queue).next_visible_at()


def bodies(queue: str) -> list[str]:
    return [message.body for message in store(queue)]


def shuffle(queue: str, rng: random.Random) -> None:
    """The next receive gives the waiting messages in another order, whatever their groups."""
    ready = store(queue)._ready
    waiting = [entry for group in ready._next for entry in ready._groups[group]]
    entries = sorted(waiting, key=lambda entry: entry.number)
    rng.shuffle(entries)
    ready.__init__()  # type: ignore[misc]
    for place, entry in enumerate(entries):
        ready._groups[f"place {place}"] = deque([entry._replace(number=-1)])
    ready._next.extend(ready._groups)
    ready._length = len(entries)


def put(queue: str, body: str, *, now: float, delay: float = 0.0) -> None:
    """A message that nobody's call has sent."""
    message: Any = new_message(body, None, None, None)
    _add(queue, message, now, delay)


def repeat_one(queue: str, rng: random.Random, now: float) -> bool:
    """One of the queue's messages, also one in flight, is given once more."""
    messages = list(store(queue))
    if not messages:
        return False
    twin = rng.choice(messages)
    _add(
        queue,
        new_message(twin.body, {}, {}, twin.group_id),
        now,
        rng.choice((1, 60)) * rng.random(),
    )
    return True


def delay_one(queue: str, rng: random.Random, now: float, seconds: float) -> bool:
    """One of the waiting messages is not given for a while."""
    messages = [each for each in store(queue) if each.state == "waiting"]
    if not messages:
        return False
    store(queue)._hide(rng.choice(messages), "delayed", now + seconds)
    return True


def _add(queue: str, message: SqsMessage, now: float, delay: float) -> None:
    message.sent_timestamp = int(now * 1000)
    message.expires_at = now + 345_600
    store(queue).add(message, visible_at=now + delay if delay else None)
