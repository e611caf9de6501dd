"""API Gateway's part, locally: Chalice's own local server, made fit for many clients at once.

Chalice's handler runs the authorizer and the app. Added here: the answers which the gateway gives
by itself have the form of all our errors (at deployment they are set as gateway responses), bodies
sent in chunks are read, a queue of connections that is not five long, and the `/_local` routes.
"""

import json
import logging
import re
import sys
import time
import uuid
from email.message import Message
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    CustomLocalChalice,
    LocalChalice,
    LocalGatewayException,
    NotAuthorizedError,
    ThreadedHTTPServer,
)

from infra.local import authorizers
from infra.local.activity import Activity

MAX_BODY_BYTES = 10 * 1024 * 1024  #: API Gateway's own limit
_DISCARD_BYTES = 10 * MAX_BODY_BYTES  #: read of a body too large, so that its sender hears of it
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")  # as the app takes it over
_CHUNK_SIZE = re.compile(rb"\s*([0-9a-fA-F]{1,8})\s*(;.*)?\r?\n")
Headers: TypeAlias = dict[str, str | list[str]]
Answer: TypeAlias = tuple[int, Headers, bytes]
log = logging.getLogger(__name__)


class Control(Protocol):
    """Answers the `/_local` routes."""

    def answer(self, method: str, path: str, body: bytes) -> Answer: ...


class Server(ThreadedHTTPServer):
    """Listens from the moment it is made; answers once an app was put in."""

    request_queue_size = 512
    allow_reuse_address = True
    app: Chalice
    control: Control

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.requests = Activity()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def serve(self, app: Chalice, control: Control) -> None:
        """Serves until `shutdown`.

        Chalice keeps the current request per thread only in the class that its own
        `create_local_server` swaps in, so the same is done here.
        """
        CustomLocalChalice.__bases__ = (LocalChalice, type(app))
        app.__class__ = CustomLocalChalice
        self.control = control
        self.app = app
        self.serve_forever(poll_interval=0.05)

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("a connection failed", exc_info=error)


class Refused(Exception):
    """The gateway answers by itself."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


class Handler(ChaliceRequestHandler):
    """One connection."""

    server: Server
    timeout = 60
    disable_nagle_algorithm = True

    def __init__(self, request: Any, client_address: Any, server: Server) -> None:
        super().__init__(request, client_address, server, server.app, Config())

    def _generic_handle(self) -> None:
        started = time.perf_counter()
        try:
            body = self._read_body()
            with self.server.requests:
                self._send(*self._answer(body))
        except Refused as refused:
            self._send(*self._refusal(refused, started))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = _generic_handle  # noqa: N815  # http.server's names

    def _is_for_control(self) -> bool:
        return f"{self.path.partition('?')[0]}/".startswith("/_local/")

    def _answer(self, body: bytes | None) -> Answer:
        if self._is_for_control():
            return self.server.control.answer(self.command, self.path, body or b"")
        try:
            return self._ask_app(body)
        except LocalGatewayException as error:
            raise _refused(error) from error
        except authorizers.Failed as failed:
            log.exception("the authorizer failed on %s %s", self.command, self._route())
            detail = "Nobody can be signed in just now"
            raise Refused(503, detail, **{"Retry-After": "5"}) from failed
        except Exception as error:
            if str(error) == authorizers.UNAUTHORIZED:
                raise _unauthorized() from error
            log.exception("the gateway failed on %s %s", self.command, self._route())
            raise Refused(500, "Internal server error") from error

    def _ask_app(self, body: bytes | None) -> Answer:
        # Chalice cannot quote a token that is not ASCII; the app itself copes with any header.
        headers = {
            name: value
            for name, value in self.headers.items()
            if value.isascii() or name.lower() != "authorization"
        }
        answer = self.local_gateway.handle_request(
            method=self.command, path=self.path, headers=headers, body=body
        )
        content = self._handle_binary(answer)["body"] or b""
        return (
            answer["statusCode"],
            {**answer["headers"], **answer["multiValueHeaders"]},
            content if isinstance(content, bytes) else str(content).encode(),
        )

    def _read_body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0").strip()
        if not re.fullmatch("[0-9]{1,18}", length):
            raise self._ending(400, "Content-Length is not a number")
        if int(length) > MAX_BODY_BYTES:
            self._discard(min(int(length), _DISCARD_BYTES))
            raise self._ending(413, f"At most {MAX_BODY_BYTES >> 20} MB")
        return self.rfile.read(int(length)) or None

    def _ending(self, status: int, detail: str) -> Refused:
        """The connection ends with the answer: where the next request begins is unknown."""
        self.close_connection = True
        return Refused(status, detail)

    def _discard(self, size: int) -> None:
        while size > 0 and (read := self.rfile.read(min(size, 1 << 16))):
            size -= len(read)

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while (size := self._chunk_size()) > 0:
            if len(body) + size > MAX_BODY_BYTES:
                raise self._ending(413, f"At most {MAX_BODY_BYTES >> 20} MB")
            body += self.rfile.read(size)
            self.rfile.readline(8)
        while self.rfile.readline(1 << 12).strip():
            pass  # trailers, up to the empty line
        return bytes(body)

    def _chunk_size(self) -> int:
        match = _CHUNK_SIZE.fullmatch(self.rfile.readline(1 << 12))
        if match is None:
            raise self._ending(400, "A chunk of the body has no size")
        return int(match[1], 16)

    def _send(self, status: int, headers: Headers, body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            for each in value if isinstance(value, list) else [value]:
                self.send_header(name, each)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself: a broken request line, an unknown method."""
        self.close_connection = True
        self.command = getattr(self, "command", None) or "GET"
        self.path = getattr(self, "path", "")
        self.headers = getattr(self, "headers", Message())
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code = HTTPStatus.METHOD_NOT_ALLOWED
        detail = explain or message or HTTPStatus(code).description
        self._send(*self._refusal(Refused(code, detail), time.perf_counter()))

    def _route(self) -> str:
        """The path without the query, which holds addresses and tokens."""
        return str(self.path).partition("?")[0]

    def _refusal(self, refused: Refused, started: float) -> Answer:
        """The refusal as an answer; logged here, as the app has not seen the request."""
        ms = round((time.perf_counter() - started) * 1000, 1)
        facts = {"method": self.command, "route": self._route(), "status": refused.status, "ms": ms}
        log.info("request", extra=facts)
        sent = self.headers.get("X-Request-Id", "")
        request_id = sent if _WELL_FORMED_ID.fullmatch(sent) else str(uuid.uuid4())
        status, headers, content = problem(refused.status, refused.detail, request_id=request_id)
        return status, {**headers, **refused.headers, "X-Request-Id": request_id}, content

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        """The app's own line says more."""


def problem(status: int, detail: str, **more: str) -> Answer:
    """An answer in the form of the app's errors (RFC 9457)."""
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return status, {"Content-Type": "application/problem+json"}, _json(content)


def _unauthorized() -> Refused:
    return Refused(401, "A valid bearer token is needed", **{"WWW-Authenticate": "Bearer"})


def _refused(error: LocalGatewayException) -> Refused:
    if isinstance(error, NotAuthorizedError):
        return _unauthorized()
    if error.CODE == HTTPStatus.FORBIDDEN and b"not authorized" not in (error.body or b""):
        return Refused(404, "There is nothing at this path")
    return Refused(error.CODE, HTTPStatus(error.CODE).description)


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def json_answer(content: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, _json(content)
