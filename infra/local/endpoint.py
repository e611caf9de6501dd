"""The same AWS over HTTP on this machine, for the aws command line and for other processes.

Costs a second of imports (Flask and what moto's server needs), so nothing here is imported before
`start`. Faults are injected in the caller's process: another process installs its own.
"""

import logging
import threading
from typing import Any

from infra.local import emulator

_lock = threading.Lock()
_server: Any = None


def start(port: int = 0) -> str:
    """The address to give as endpoint_url; a free port unless one is named. Again is harmless."""
    global _server  # noqa: PLW0603  # there is one in a process
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
