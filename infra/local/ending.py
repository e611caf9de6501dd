"""When a program is told to end: Ctrl-C, SIGTERM, or a reason of its own."""

import signal
from queue import SimpleQueue


class Ending:
    """Listens from the moment it is made. A second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        # An Event's lock could be held by the very code that a signal interrupts.
        self._reasons: SimpleQueue[str] = SimpleQueue()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._heard)

    def _heard(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self.tell("")

    def tell(self, reason: str) -> None:
        """From any thread."""
        self._reasons.put(reason)

    def wait(self) -> str:
        """Returns the reason; empty for a signal."""
        return self._reasons.get()
