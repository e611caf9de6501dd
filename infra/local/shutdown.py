"""Waiting for the end of a program: Ctrl-C, SIGTERM, or a request from one of its threads."""

import os
import select
import signal
import threading

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ENDED = 128  # a shell's status for a program that a signal has ended is this plus the signal


class Shutdown:
    """Handles signals from the moment it is created.

    While the program starts, a signal ends it at once, whatever the start waits for: all that it
    has is in memory. Once `started` was called, a signal ends `wait`, and a second one ends the
    process.
    """

    def __init__(self) -> None:
        # A pipe, since a signal may interrupt any thread: a main thread that waits on a lock or a
        # queue would sleep on, and Python would run its handler only afterwards.
        self._reader, self._writer = os.pipe()
        self._reason = ""
        self._is_started = False
        os.set_blocking(self._writer, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._restore_handlers)
        threading.Thread(target=self._end_the_start, name="shutdown", daemon=True).start()

    def _restore_handlers(self, *_: object) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def _end_the_start(self) -> None:
        select.select([self._reader], [], [])
        if not self._is_started:
            os._exit(_ENDED + os.read(self._reader, 1)[0])

    def started(self) -> None:
        """From here on `wait` is what a signal ends."""
        self._is_started = True

    def request(self, reason: str) -> None:
        """Ends the wait, with a reason; from any thread."""
        self._reason = reason
        os.write(self._writer, b"!")

    def wait(self) -> str:
        """Returns the reason of the request; empty for a signal."""
        os.read(self._reader, 1)
        return self._reason
