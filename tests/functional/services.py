"""Outside services of tests: small HTTP servers on this machine that do as a script says."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[BaseHTTPRequestHandler, int], None]  #: the request, and which one it is


def answering(
    status: int, body: bytes = b"{}", **headers: str
) -> Callable[[BaseHTTPRequestHandler, int], None]:
    def answer(request: BaseHTTPRequestHandler, _number: int) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def in_turn(*scripts: Script) -> Script:
    """The first script for the first request, and so on; the last for all that follow."""
    return lambda request, number: scripts[min(number, len(scripts)) - 1](request, number)


def silent(request: BaseHTTPRequestHandler, _number: int) -> None:
    request.server.released.wait(10)  # type: ignore[attr-defined]


def hanging_up(request: BaseHTTPRequestHandler, _number: int) -> None:
    request.close_connection = True


@contextmanager
def serving(
    script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.body = self.rfile.read(length)
            server.requests.append(self)  # type: ignore[attr-defined]
            script(self, len(server.requests))  # type: ignore[attr-defined]

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _handle  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    server.requests = []  # type: ignore[attr-defined]
    server.released = threading.Event()  # type: ignore[attr-defined]
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()
