"""When a program is told to end: Ctrl-C, SIGTERM, or a reason of its own."""

import os
import signal


class Ending:
    """Listens from the moment it is made. A second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        # A pipe, as any thread may be the one that a signal interrupts: one that waits on a lock
        # or a queue would sleep on, and Python's handler run only after it.
        self._heard, self._told = os.pipe()
        self._reason = ""
        os.set_blocking(self._told, False)
        signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._listen_no_more)

    def _listen_no_more(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    def tell(self, reason: str) -> None:
        """From any thread."""
        self._reason = reason
        os.write(self._told, b"!")

    def wait(self) -> str:
        """Returns the reason; empty for a signal."""
        os.read(self._heard, 1)
        return self._reason
