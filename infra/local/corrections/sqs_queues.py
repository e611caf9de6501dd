"""The messages of all queues, the lock that protects them, and waiting for a message.

A receive that waits for messages waits on the condition `changed` and so releases the lock.
"""

import threading
import time
from collections.abc import Iterable

from moto.sqs.models import Queue, sqs_backends

from infra.local.corrections.message_store import Counts, MessageStore

#: Held while messages are read or moved, notified when one may have become visible.
changed = threading.Condition()
_wake_ups = 0


def queue_counts(name: str) -> Counts:
    """KeyError for a queue that does not exist."""
    with changed:
        return settled(queue_named(name)).counts()


def wait_for_message(names: Iterable[str], timeout_seconds: float) -> list[str]:
    """Waits until one of the queues has a visible message; returns those that have.

    Returns an empty list at the timeout, and at once after `wake_all`.
    """
    deadline = time.monotonic() + timeout_seconds
    names = list(names)
    with changed:
        before = _wake_ups
        while True:
            stores = {name: settled(queue_named(name)) for name in names}
            ready = [name for name, store in stores.items() if store.counts().waiting]
            left = deadline - time.monotonic()
            if ready or left <= 0 or _wake_ups != before:
                return ready
            changed.wait(pause(stores.values(), left))


def wake_all() -> None:
    """Makes every waiting receive check again; called when the clock jumps or the cloud stops."""
    global _wake_ups  # noqa: PLW0603  # the count that waiters compare
    with changed:
        _wake_ups += 1
        changed.notify_all()


def empty_all() -> None:
    with changed:
        for queue in _queues():
            store_of(queue).clear()


def counts(queue: Queue) -> Counts:
    with changed:
        return settled(queue).counts()


def retain(queue: Queue, seconds: int) -> None:
    """Applies a new retention period to the messages in the queue."""
    with changed:
        store_of(queue).retain(seconds)


def _queues() -> list[Queue]:
    backends = [b for account in list(sqs_backends.values()) for b in list(account.values())]
    return [queue for backend in backends for queue in list(backend.queues.values())]


def queue_named(name: str) -> Queue:
    for queue in _queues():
        if queue.name == name:
            return queue
    raise KeyError(f"There is no queue {name}")


def store_of(queue: Queue) -> MessageStore:
    store: MessageStore | None = queue.__dict__.get("message_store")
    if store is None:
        store = queue.__dict__["message_store"] = MessageStore()
    return store


def settled(queue: Queue) -> MessageStore:
    """The queue's messages as they are at this moment."""
    store = store_of(queue)
    store.settle(time.time())
    return store


def pause(stores: Iterable[MessageStore], at_most: float) -> float:
    """Seconds until a hidden message may become visible."""
    moments = [moment for store in stores if (moment := store.next_visible_at()) is not None]
    if not moments:
        return at_most
    return max(0.001, min(at_most, min(moments) - time.time()))
