"""Waiting for a condition or a time of the local clock, whichever comes first."""

import threading
from collections.abc import Callable

from infra.local import clock

#: Notified of everything that may be waited for, including jumps of the clock.
changed = threading.Condition()


def wake_all() -> None:
    """Makes everybody who waits check again."""
    with changed:
        changed.notify_all()


def wait_for(condition: Callable[[], bool], seconds: float, since: float | None = None) -> bool:
    """Waits until the condition is true, and returns False if it is not within the seconds.

    The seconds begin now, or at the time `since` of `clock.monotonic()`. Whoever makes the
    condition true calls `wake_all`.
    """
    until = (clock.monotonic() if since is None else since) + seconds
    with changed:
        while not condition():
            left = until - clock.monotonic()
            if left <= 0:
                return False
            changed.wait(min(left, threading.TIMEOUT_MAX))
        return True


class Event(threading.Event):
    """An event that is waited for by the local clock.

    A timeout begins when the event is created, so a jump of the clock before the wait counts too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._created = clock.monotonic()

    def set(self) -> None:
        super().set()
        wake_all()

    def wait(self, timeout: float | None = None) -> bool:
        seconds = threading.TIMEOUT_MAX if timeout is None else timeout
        return wait_for(self.is_set, seconds, self._created)
