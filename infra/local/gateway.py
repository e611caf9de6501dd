"""API Gateway, locally: Chalice's own local server, extended for many clients at once.

Chalice's handler runs the authorizer and the app. This server adds the gateway's own answers as
they are deployed (infra/deploy/gateway.py), bodies in chunks, a longer queue of connections, and
the `/_local` routes.
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
from infra.local import authorizers, environment, invocation, origins
from infra.local.activity import Activity

MAX_BODY_BYTES = 10 * 1024 * 1024  #: API Gateway's own limit
_TOO_LARGE = "REQUEST_TOO_LARGE"
_DISCARD_BYTES = (
    10 * MAX_BODY_BYTES
)  #: read of a body that is too large, so that its sender gets an answer
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")  # the ids that the app accepts
_CHUNK_SIZE = re.compile(rb"\s*([0-9a-fA-F]{1,8})\s*(;.*)?\r?\n")
Headers: TypeAlias = dict[str, str | list[str]]
Answer: TypeAlias = tuple[int, Headers, bytes]
log = logging.getLogger(__name__)


class Control(Protocol):
    """Answers the `/_local` routes."""

    def answer(self, method: str, path: str, body: bytes) -> Answer: ...


class Server(ThreadedHTTPServer):
    """Listens from the moment it is created, and answers once `serve` is called."""

    request_queue_size = 512
    allow_reuse_address = True
    app: Chalice
    control: Control
    function_name = ""  #: the app's, on Lambda

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.requests = Activity()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def serve(self) -> None:
        """Serves what `prepare` named, until `shutdown`."""
        self.serve_forever(poll_interval=0.05)

    def prepare(self, app: Chalice, control: Control) -> None:
        """Names what is served.

        Replaces the app's class, as Chalice's `create_local_server` does: only that class keeps the
        current request per thread.
        """
        CustomLocalChalice.__bases__ = (LocalChalice, type(app))
        app.__class__ = CustomLocalChalice
        self.control = control
        self.app = app
        self.function_name = f"{app.app_name}-{environment.STAGE}"

    def handle_error(self, *_: Any) -> None:
        """Logs errors, except of clients that have disconnected."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("a connection failed", exc_info=error)


class Refused(Exception):
    """The gateway itself answers, with its response of this type.

    `status` and `detail` are for the default responses only.
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
        """Handles every other method too: the app knows which methods a path has."""
        if name.startswith("do_"):
            return self._generic_handle
        raise AttributeError(name)

    def _is_for_control(self) -> bool:
        return f"{self.path.partition('?')[0]}/".startswith("/_local/")

    def _answer(self, body: bytes | None) -> Answer:
        if self._is_for_control():
            return self._control(body or b"")
        try:
            return self._ask_app(body)
        except LocalGatewayException as error:
            raise Refused(_kind(error)) from error
        except authorizers.AuthorizerFailed as failed:
            log.exception("the authorizer failed on %s %s", self.command, self._route())
            raise Refused("AUTHORIZER_FAILURE") from failed
        except Exception as error:
            if str(error) == authorizers.UNAUTHORIZED:
                raise Refused("UNAUTHORIZED") from error
            log.exception("the gateway failed on %s %s", self.command, self._route())
            raise Refused("DEFAULT_5XX", 500, "Internal server error") from error

    def _control(self, body: bytes) -> Answer:
        origin = self.headers.get("Origin")
        allowed = origins.for_control(origin)
        if origin and not origins.is_of_this_machine(origin):
            return 403, allowed, b"Pages from elsewhere may not steer the local cloud\n"
        if self.command == "OPTIONS":
            return 204, allowed, b""
        status, headers, content = self.server.control.answer(self.command, self.path, body)
        return status, {**headers, **allowed}, content

    def _ask_app(self, body: bytes | None) -> Answer:
        # Chalice fails on a token that is not ASCII; the app accepts any header.
        headers = {
            name: value
            for name, value in origins.to_app(self.headers).items()
            if value.isascii() or name.lower() != "authorization"
        }
        with invocation.of(self.server.function_name):
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
            raise self._final_refusal("DEFAULT_4XX", 400, "Content-Length is not a number")
        if int(length) > MAX_BODY_BYTES:
            self._discard(min(int(length), _DISCARD_BYTES))
            raise self._final_refusal(_TOO_LARGE)
        return self.rfile.read(int(length)) or None

    def _final_refusal(self, kind: str, status: int = 0, detail: str = "") -> Refused:
        """A refusal that closes the connection, as the next request's beginning is unknown."""
        self.close_connection = True
        return Refused(kind, status, detail)

    def _discard(self, size: int) -> None:
        while size > 0 and (read := self.rfile.read(min(size, 1 << 16))):
            size -= len(read)

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while (size := self._chunk_size()) > 0:
            if len(body) + size > MAX_BODY_BYTES:
                raise self._final_refusal(_TOO_LARGE)
            body += self.rfile.read(size)
            self.rfile.readline(8)
        while self.rfile.readline(1 << 12).strip():
            pass  # trailers, up to the empty line
        return bytes(body)

    def _chunk_size(self) -> int:
        match = _CHUNK_SIZE.fullmatch(self.rfile.readline(1 << 12))
        if match is None:
            raise self._final_refusal("DEFAULT_4XX", 400, "A chunk of the body has no size")
        return int(match[1], 16)

    def _send(self, status: int, headers: Headers, body: bytes) -> None:
        self.send_response(status)
        for name, value in origins.from_app(headers, self.headers.get("Origin")).items():
            for single in value if isinstance(value, list) else [value]:
                self.send_header(name, single)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers what http.server itself refuses, such as a broken request line."""
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
        """The answer to a refused request; logged here, since the app has not seen it."""
        sent = self.headers.get("X-Request-Id", "")
        request_id = sent if _WELL_FORMED_ID.fullmatch(sent) else str(uuid.uuid4())
        answer = refusal(refused, request_id)
        ms = round((time.perf_counter() - started) * 1000, 1)
        facts = {"method": self.command, "route": self._route(), "status": answer[0], "ms": ms}
        log.info("request", extra=facts)
        return answer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        """Does nothing, since the app logs every request itself."""


def problem(status: int, detail: str, **more: str) -> Answer:
    """A problem as the app answers it (RFC 9457)."""
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return status, {"Content-Type": "application/problem+json"}, _json(content)


def refusal(refused: Refused, request_id: str) -> Answer:
    """The answer of the deployed gateway, with its variables filled in."""
    from chalicelib.kernel.settings import settings  # which are complete only after the start

    responses = wanted(settings.listed("cors_origins"))
    response = next(r for r in responses if r["responseType"] == refused.kind)
    headers: Headers = {
        name.removeprefix("gatewayresponse.header."): value.strip("'")
        for name, value in response["responseParameters"].items()
    }
    text = response["responseTemplates"]["application/json"]
    text = text.replace("$context.requestId", request_id)
    content = json.loads(text.replace("$context.error.messageString", json.dumps(refused.detail)))
    if refused.status:  # which the template of a default response does not contain
        content |= {"title": HTTPStatus(refused.status).phrase, "status": refused.status}
    status = int(response.get("statusCode", refused.status))
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
