"""Waiting for the end of a program: Ctrl-C, SIGTERM, or a request from one of its threads."""

import os
import signal


class Shutdown:
    """Handles signals from the moment it is created. A second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        # A pipe, since a signal may interrupt any thread: a main thread that waits on a lock or a
        # queue would sleep on, and Python would run its handler only afterwards.
        self._reader, self._writer = os.pipe()
        self._reason = ""
        os.set_blocking(self._writer, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._restore_handlers)

    def _restore_handlers(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    def request(self, reason: str) -> None:
        """Ends the wait, with a reason; from any thread."""
        self._reason = reason
        os.write(self._writer, b"!")

    def wait(self) -> str:
        """Returns the reason of the request; empty for a signal."""
        os.read(self._reader, 1)
        return self._reason
