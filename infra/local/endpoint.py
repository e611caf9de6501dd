"""The emulator over HTTP, for the aws command line and for other processes on this machine.

Importing Flask and moto's server takes a second, so they are imported by `start` only. Faults are
injected in the process of the caller, so those of this process do not affect another one; only
conflicts of transactions are DynamoDB's own and reach everybody.
"""

import logging
import threading
from typing import Any

from infra.local import emulator

_lock = threading.Lock()
_server: Any = None


def start(port: int = 0) -> str:
    """Returns the endpoint_url; on a free port if `port` is 0. A second call returns the same."""
    global _server  # noqa: PLW0603  # a process has one
    with _lock:
        if _server is None:
            emulator.start()
            _server = _serve(port)
        host, bound = _server.get_host_and_port()
        return f"http://{host}:{bound}"


def stop() -> None:
    global _server
    with _lock:
        server, _server = _server, None
    if server is not None:
        server.stop()


def _serve(port: int) -> Any:
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    return server
