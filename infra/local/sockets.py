"""API Gateway's WebSockets: clients' connections to the app's handlers, and `/@connections`.

A new connection calls $connect, a message $default, and the end $disconnect, with the events that
API Gateway builds. Any answer to $connect but 200 refuses the connection.
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api.html

The app sends messages to POST <API>/_local/sockets/@connections/<id>.
"""

import base64
import contextlib
import json
import logging
import os
import threading
import time
import uuid
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from chalice.app import Chalice
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from infra.local import log
from infra.local.activity import Activity
from infra.local.gateway import Answer, json_answer
from infra.local.mapping import Function, LambdaContext, OnError

Event: TypeAlias = dict[str, Any]

PATH = "/_local/sockets"  #: of the endpoint that the app sends to
LARGEST_BYTES = 128 * 1024  #: API Gateway's own limit of a message
_TIMEOUT_SECONDS = 29
_CLOSE_SECONDS = 1  # that a client has to confirm the end of its connection
_GONE = json_answer({"message": "410"}, HTTPStatus.GONE)
_log = logging.getLogger(__name__)


class Sockets:
    """Listens from the moment it is created, and answers once it is started with an app."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        stage: str = "local",
        region: str = "eu-central-1",
        account: str = "123456789012",
        on_error: OnError = log.failure,
    ) -> None:
        self._names: dict[str, str] = {}
        self._functions: dict[str, Function] = {}
        self._prefix = ""
        self._host, self._stage, self._region, self._account = host, stage, region, account
        self._on_error = on_error
        self._stopped = False
        self._lock = threading.Lock()
        self._open: dict[str, ServerConnection] = {}
        self.activity = Activity()  #: connections, from their first message to their $disconnect
        self._server = _listen(host, self._serve, self._admit)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://{self._host}:{self._server.socket.getsockname()[1]}"

    def start(self, app: Chalice) -> None:
        self._names = {key: handler.name for key, handler in app.websocket_handlers.items()}
        self._functions = app.handler_map
        self._prefix = f"{app.app_name}-{self._stage}-"
        threading.Thread(target=self._server.serve_forever, name="sockets", daemon=True).start()

    def stop(self) -> None:
        """Ends all connections; returns when their $disconnect has run. May be called again."""
        if not self._stopped:
            self._stopped = True
            self._server.shutdown()
            self.close_all()

    def close_all(self) -> None:
        """Ends all connections; returns when their $disconnect has run."""
        with self._lock:
            connections = list(self._open.values())
        for connection in connections:
            connection.close()
        self.activity.wait_until_none(_TIMEOUT_SECONDS)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Answers the app's request to `/@connections/<id>`."""
        connection_id = unquote(path.rpartition("/")[2])
        with self._lock:
            connection = self._open.get(connection_id)
        if connection is None:
            return _gone()
        if method == "GET":
            return json_answer({"connectedAt": None})
        try:
            if method == "DELETE":
                connection.close()
            else:
                connection.send(body.decode())
        except ConnectionClosed:
            return _gone()
        return 200, {}, b""

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Calls $connect; returns None to admit the client, or the refusal."""
        connection_id = base64.b64encode(os.urandom(11)).decode()
        query = dict(parse_qsl(urlsplit(request.path).query))
        headers = dict(request.headers.raw_items())
        more = {"headers": headers, "queryStringParameters": query or None}
        answer = self._call("$connect", "CONNECT", connection_id, more)
        status = 502 if answer is None else int(answer.get("statusCode", 200))
        if status != HTTPStatus.OK:
            return connection.respond(HTTPStatus(status), "")
        vars(connection)["admitted_as"] = connection_id
        return None

    def _serve(self, connection: ServerConnection) -> None:
        connection_id = str(vars(connection)["admitted_as"])
        with self.activity:
            with self._lock:
                self._open[connection_id] = connection
            try:
                self._read(connection, connection_id)
            finally:
                with self._lock:
                    del self._open[connection_id]
                self._call("$disconnect", "DISCONNECT", connection_id, {})

    def _read(self, connection: ServerConnection, connection_id: str) -> None:
        """Passes messages on until the connection ends, with or without a close frame."""
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                self._pass_on(connection, connection_id, message)

    def _pass_on(
        self, connection: ServerConnection, connection_id: str, message: str | bytes
    ) -> None:
        text = message if isinstance(message, str) else base64.b64encode(message).decode()
        more = {"body": text, "isBase64Encoded": not isinstance(message, str)}
        if self._call("$default", "MESSAGE", connection_id, more) is None:
            trouble = {"message": "Internal server error", "connectionId": connection_id}
            connection.send(json.dumps(trouble))

    def _call(self, key: str, kind: str, connection_id: str, more: Event) -> Event | None:
        """The handler's answer; None if it failed, an empty 200 if the app has no such handler."""
        name = self._names.get(key)
        if name is None:
            return {"statusCode": 200}
        context = LambdaContext(self._prefix + name, self._region, self._account, _TIMEOUT_SECONDS)
        event = {"isBase64Encoded": False, **more}
        event["requestContext"] = self._context_of(key, kind, connection_id)
        try:
            answer: Any = self._functions[name](json.loads(json.dumps(event)), context)
        except BaseException as error:  # noqa: BLE001  # a crash ends the function only
            self._on_error(context.function_name, error)
            return None
        return answer if isinstance(answer, dict) else {"statusCode": 200}

    def _context_of(self, key: str, kind: str, connection_id: str) -> Event:
        return {
            "routeKey": key,
            "eventType": kind,
            "connectionId": connection_id,
            "requestId": str(uuid.uuid4()),
            "messageId": str(uuid.uuid4()) if kind == "MESSAGE" else None,
            "messageDirection": "IN",
            "requestTimeEpoch": int(time.time() * 1000),
            "domainName": f"local.execute-api.{self._region}.amazonaws.com",
            "stage": self._stage,
            "apiId": "local",
            "identity": {"sourceIp": self._host},
        }


def _listen(host: str, handler: Any, admit: Any) -> Server:
    return serve(
        handler,
        host,
        0,
        process_request=admit,
        max_size=LARGEST_BYTES,
        close_timeout=_CLOSE_SECONDS,
        logger=_quiet(),
        server_header=None,
    )


def _gone() -> Answer:
    status, headers, content = _GONE
    return status, {**headers, "x-amzn-ErrorType": "GoneException"}, content


def _quiet() -> logging.Logger:
    """Only the library's critical errors: other lines would contain clients' tickets."""
    logger = logging.getLogger("websockets.local")
    logger.setLevel(logging.CRITICAL)
    return logger
