"""What is under way at this moment."""

import threading


class Activity:
    """Counts what has begun and not ended: `with activity: ...`, from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.under_way = 0
        self.begun = 0  #: ever

    def __enter__(self) -> None:
        with self._changed:
            self.under_way += 1
            self.begun += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self.under_way -= 1
            self._changed.notify_all()

    def wait_until_none(self, timeout_seconds: float) -> bool:
        """False when the time was over first."""
        with self._changed:
            return self._changed.wait_for(lambda: self.under_way == 0, timeout_seconds)
