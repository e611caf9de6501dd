"""Counts of what runs at this moment."""

import threading
from contextlib import AbstractContextManager


class Activity(AbstractContextManager[None]):
    """Counts the bodies of `with activity:` that run in any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.under_way = 0
        self.begun = 0  #: since the start of the process

    def __enter__(self) -> None:
        with self._changed:
            self.under_way += 1
            self.begun += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self.under_way -= 1
            self._changed.notify_all()

    def wait_until_none(self, timeout_seconds: float) -> bool:
        """Returns False if something still runs after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: self.under_way == 0, timeout_seconds)
