"""A time limit for a whole exchange, however its bytes come.

Time-outs of sockets limit the silence between two bytes, so a service that sends one byte a second
holds its caller for hours: in its headers, in its body, by endless `100 Continue`, in the handshake
of TLS. Here a timer shuts the connection down, which ends every wait for it.
"""

import os
import socket
import threading
from contextvars import ContextVar
from typing import Self

_current: ContextVar["Deadline"] = ContextVar("deadline")


class Deadline:
    """A context manager; connections that are used inside are shut down after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._levers: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _current.reset(self._token)
        with self._lock:
            levers, self._levers = self._levers, []
        for lever in levers:
            lever.close()

    def hold(self, connected: socket.socket) -> None:
        """Shuts this connection down at the deadline, or at once after it."""
        # A handle of its own: neither TLS nor whoever closes the other one takes it away.
        lever = socket.socket(fileno=os.dup(connected.fileno()))
        with self._lock:
            self._levers.append(lever)
            if self.is_over:
                _shut(lever)

    def _cut(self) -> None:
        with self._lock:
            self.is_over = True
            for lever in self._levers:
                _shut(lever)


def hold(connected: socket.socket) -> None:
    """Puts a connection under the deadline of this thread, if there is one."""
    deadline = _current.get(None)
    if deadline is not None:
        deadline.hold(connected)


def _shut(lever: socket.socket) -> None:
    try:
        lever.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended already
