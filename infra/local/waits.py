"""Waiting for something or for a time of the local clock, whichever comes first."""

import threading
from collections.abc import Callable

from infra.local import clock

#: Notified of whatever somebody may wait for, jumps of the clock included.
changed = threading.Condition()


def wake_all() -> None:
    """Whoever waits looks again."""
    with changed:
        changed.notify_all()


def wait_for(is_so: Callable[[], bool], seconds: float, since: float | None = None) -> bool:
    """Whether it became so within the seconds. Who makes it so calls `wake_all`.

    They count from now on, or from the moment `since` of `clock.monotonic()`.
    """
    until = (clock.monotonic() if since is None else since) + seconds
    with changed:
        while not is_so():
            left = until - clock.monotonic()
            if left <= 0:
                return False
            changed.wait(min(left, threading.TIMEOUT_MAX))
        return True


class Event(threading.Event):
    """An event whose waiting follows the local clock, and begins when the event is made.

    So a jump between the start of what is waited for and the wait itself is not missed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made = clock.monotonic()

    def set(self) -> None:
        super().set()
        wake_all()

    def wait(self, timeout: float | None = None) -> bool:
        seconds = threading.TIMEOUT_MAX if timeout is None else timeout
        return wait_for(self.is_set, seconds, self._made)
