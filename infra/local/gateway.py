"""API Gateway's part, locally: Chalice's own local server, made fit for many clients at once.

Chalice's handler runs the authorizer and the app. Added here: the answers which the gateway gives
by itself are those that the deployed one is told to give (infra/deploy/gateway), bodies sent in
chunks are read, a queue of connections that is not five long, and the `/_local` routes.
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
    InvalidAuthorizerError,
    LocalChalice,
    LocalGatewayException,
    NotAuthorizedError,
    ThreadedHTTPServer,
)

from infra.deploy.gateway import wanted
from infra.local import authorizers
from infra.local.activity import Activity

MAX_BODY_BYTES = 10 * 1024 * 1024  #: API Gateway's own limit
_TOO_LARGE = "REQUEST_TOO_LARGE"
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
    """The gateway answers by itself, with its response of this type.

    Only a default response takes `status` and `detail`.
    """

    def __init__(self, kind: str, status: int = 0, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind, self.status, self.detail = kind, status, detail


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

    def __getattr__(self, name: str) -> Any:
        """Any other method too: the app knows which a path answers."""
        if name.startswith("do_"):
            return self._generic_handle
        raise AttributeError(name)

    def _is_for_control(self) -> bool:
        return f"{self.path.partition('?')[0]}/".startswith("/_local/")

    def _answer(self, body: bytes | None) -> Answer:
        if self._is_for_control():
            return self.server.control.answer(self.command, self.path, body or b"")
        try:
            return self._ask_app(body)
        except LocalGatewayException as error:
            raise Refused(_kind(error)) from error
        except authorizers.Failed as failed:
            log.exception("the authorizer failed on %s %s", self.command, self._route())
            raise Refused("AUTHORIZER_FAILURE") from failed
        except Exception as error:
            if str(error) == authorizers.UNAUTHORIZED:
                raise Refused("UNAUTHORIZED") from error
            log.exception("the gateway failed on %s %s", self.command, self._route())
            raise Refused("DEFAULT_5XX", 500, "Internal server error") from error

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
            raise self._ending("DEFAULT_4XX", 400, "Content-Length is not a number")
        if int(length) > MAX_BODY_BYTES:
            self._discard(min(int(length), _DISCARD_BYTES))
            raise self._ending(_TOO_LARGE)
        return self.rfile.read(int(length)) or None

    def _ending(self, kind: str, status: int = 0, detail: str = "") -> Refused:
        """The connection ends with the answer: where the next request begins is unknown."""
        self.close_connection = True
        return Refused(kind, status, detail)

    def _discard(self, size: int) -> None:
        while size > 0 and (read := self.rfile.read(min(size, 1 << 16))):
            size -= len(read)

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while (size := self._chunk_size()) > 0:
            if len(body) + size > MAX_BODY_BYTES:
                raise self._ending(_TOO_LARGE)
            body += self.rfile.read(size)
            self.rfile.readline(8)
        while self.rfile.readline(1 << 12).strip():
            pass  # trailers, up to the empty line
        return bytes(body)

    def _chunk_size(self) -> int:
        match = _CHUNK_SIZE.fullmatch(self.rfile.readline(1 << 12))
        if match is None:
            raise self._ending("DEFAULT_4XX", 400, "A chunk of the body has no size")
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
        """What http.server refuses by itself, such as a broken request line."""
        self.close_connection = True
        self.command = getattr(self, "command", None) or "GET"
        self.path = getattr(self, "path", "")
        self.headers = getattr(self, "headers", Message())
        detail = explain or message or HTTPStatus(code).description
        refused = Refused(f"DEFAULT_{code // 100}XX", code, detail)
        self._send(*self._refusal(refused, time.perf_counter()))

    def _route(self) -> str:
        """The path without the query, which holds addresses and tokens."""
        return str(self.path).partition("?")[0]

    def _refusal(self, refused: Refused, started: float) -> Answer:
        """The refusal as an answer; logged here, as the app has not seen the request."""
        sent = self.headers.get("X-Request-Id", "")
        request_id = sent if _WELL_FORMED_ID.fullmatch(sent) else str(uuid.uuid4())
        answer = refusal(refused, request_id)
        ms = round((time.perf_counter() - started) * 1000, 1)
        facts = {"method": self.command, "route": self._route(), "status": answer[0], "ms": ms}
        log.info("request", extra=facts)
        return answer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        """The app's own line says more."""


def problem(status: int, detail: str, **more: str) -> Answer:
    """An answer in the form of the app's errors (RFC 9457)."""
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return status, {"Content-Type": "application/problem+json"}, _json(content)


def refusal(refused: Refused, request_id: str) -> Answer:
    """What the deployed gateway answers, with its variables filled in."""
    from chalicelib.kernel.settings import settings  # known only once the cloud has its addresses

    responses = wanted(settings.listed("cors_origins"))
    told = next(each for each in responses if each["responseType"] == refused.kind)
    headers: Headers = {
        name.removeprefix("gatewayresponse.header."): value.strip("'")
        for name, value in told["responseParameters"].items()
    }
    text = told["responseTemplates"]["application/json"]
    text = text.replace("$context.requestId", request_id)
    content = json.loads(text.replace("$context.error.messageString", json.dumps(refused.detail)))
    if refused.status:  # a default response has none, as its template cannot know it
        content |= {"title": HTTPStatus(refused.status).phrase, "status": refused.status}
    status = int(told.get("statusCode", refused.status))
    return status, {**headers, "X-Request-Id": request_id}, _json(content)


def _kind(error: LocalGatewayException) -> str:
    if isinstance(error, NotAuthorizedError):
        return "UNAUTHORIZED"
    if isinstance(error, InvalidAuthorizerError):
        return "AUTHORIZER_CONFIGURATION_ERROR"
    is_denied = b"not authorized" in (error.body or b"")
    return "ACCESS_DENIED" if is_denied else "MISSING_AUTHENTICATION_TOKEN"


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def json_answer(content: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, _json(content)
