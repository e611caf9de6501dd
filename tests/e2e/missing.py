"""What ministack lacks and the deployment needs, by a proxy in between.

- ImportRestApi and PutRestApi. ministack makes an API of a swagger document through
  CloudFormation, so these two become a stack with one AWS::ApiGateway::RestApi. A changed document
  would make another API under another id: the stack is made anew, and a tag keeps the id.
- Three habits of IAM. AWS has no action for a batch of SQS, which needs that of the single call:
  ministack asks for sqs:SendMessageBatch. It asks for ses:SendEmail on "*" alone. And a key that a
  call names by its alias is the alias to it, so that kms:ResourceAliases, on AWS the way to allow
  the keys of an alias, finds nothing.
- **API Gateway's host names.** Where sockets are sent to is https://<id>.execute-api..., which
  nobody answers here. Functions are given the emulator's own address of the same API, and whoever
  asks what they were given hears the name.
- A function is Pending for a moment. Chalice looks again after 5 s, at each of them; asked here,
  the answer is kept back until the function is ready.

All other calls of the deployment pass through as they are. The functions never come here: they
know ministack's own address.
"""

import itertools
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode

from .ministack import REGION, Ministack
from .stacks import create_stack, delete_stack

_FUNCTIONS = "/2015-03-31/functions"
_NAMED = re.compile(rb'("SOCKET_ENDPOINT": ?")https://(\w+)\.execute-api\.[\w.-]+')
_UNREADY = re.compile(rb'"(State": ?"Pending|LastUpdateStatus": ?"InProgress)"')
_LOOK_SECONDS = 0.05
_IMPORT = re.compile(r"^/restapis\?.*mode=import")
_PUT = re.compile(r"^/restapis/(?P<id>\w+)(\?.*)?$")
_ALIASES = "kms:ResourceAliases"
BATCHED = frozenset({"sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"})
_REFUSED = b"""<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>Not today</Message></Error><RequestId>1</RequestId></ErrorResponse>"""
_HOP = frozenset({"connection", "content-length", "expect", "host", "transfer-encoding"})


class Missing:
    """The proxy, on a free port of 127.0.0.1, until it is stopped."""

    def __init__(self, ministack: Ministack) -> None:
        proxy = self

        class Calls(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                status, headers, body = proxy.answer(
                    self.command, self.path, dict(self.headers), self.rfile.read(length)
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer  # noqa: N815

            def log_request(self, *_: Any) -> None:
                """Silent: the tests' output is theirs."""

        self.makes_roles = True  #: False: whoever deploys may not make one, so no function either
        self.reads_functions = True  #: False: nor look at functions, and ends before packing them
        self.stack_updates_left: int | None = None  #: then CloudFormation denies them; None: never
        self._ministack = ministack
        self._stacks: dict[str, str] = {}  #: of each API that was imported
        self._imported: dict[str, bytes] = {}  #: what it was imported from
        self._numbers = itertools.count()
        self._sockets = f"{ministack.endpoint_url}/_aws/execute-api/"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Calls)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if method == "POST" and _IMPORT.match(path):
            return _told({"id": self._import(body), "name": "backburner"}, 201)
        if method == "PUT" and (found := _PUT.match(path)):
            if self._imported[found["id"]] != body:
                self._import(body, found["id"])
            return _told({"id": found["id"], "name": "backburner"}, 200)
        if self._refuses(body):
            return 403, {"Content-Type": "text/xml"}, _REFUSED
        if path.startswith(_FUNCTIONS) and not self.reads_functions:
            return _told({"Type": "User", "Message": "Not today"}, 403)
        if path.startswith(_FUNCTIONS):
            body = _NAMED.sub(rf"\1{self._sockets}\2".encode(), body)
        if body.startswith(b"Action=PutRolePolicy") or b"&Action=PutRolePolicy&" in body:
            body = _with_policy_adapted(body)
        kept = {name: value for name, value in headers.items() if name.lower() not in _HOP}
        passed = self._ministack.pass_on(method, path, kept, body)
        while method == "GET" and path.startswith(_FUNCTIONS) and _UNREADY.search(passed.data):
            time.sleep(_LOOK_SECONDS)
            passed = self._ministack.pass_on(method, path, kept, body)
        back = {name: value for name, value in passed.headers.items() if name.lower() not in _HOP}
        return passed.status, back, self._named(passed.data)

    def _import(self, swagger: bytes, api_id: str | None = None) -> str:
        """Makes an API, in the place of the one with this id; its id."""
        if api_id is not None:
            delete_stack(self._ministack, self._stacks[api_id])
        stack = f"chalice-api-{next(self._numbers)}"
        api_id = create_stack(self._ministack, stack, _api(swagger, api_id), {})["ApiId"]
        self._stacks[api_id], self._imported[api_id] = stack, swagger
        return api_id

    def _refuses(self, body: bytes) -> bool:
        if b"Action=UpdateStack" in body and self.stack_updates_left is not None:
            self.stack_updates_left -= 1
            return self.stack_updates_left < 0
        return b"Action=CreateRole" in body and not self.makes_roles

    def _named(self, answer: bytes) -> bytes:
        place = re.escape(self._sockets).encode()
        name = rb"https://\1.execute-api." + REGION.encode() + rb".amazonaws.com"
        return re.sub(place + rb"(\w+)", name, answer)

    def stop(self) -> None:
        """Closes its address."""
        self._server.shutdown()
        self._server.server_close()


def adapted(policy: dict[str, Any]) -> dict[str, Any]:
    """A policy in the words that ministack understands."""
    return {**policy, "Statement": [_adapted(each) for each in policy["Statement"]]}


def _adapted(statement: dict[str, Any]) -> dict[str, Any]:
    actions = list(statement["Action"])
    batches = [f"{action}Batch" for action in actions if action in BATCHED]
    given = {**statement, "Action": actions + batches}
    if "ses:SendEmail" in actions:
        return {**given, "Resource": "*"}
    alias = given.get("Condition", {}).get("ForAnyValue:StringEquals", {}).get(_ALIASES)
    if alias:
        del given["Condition"]
        given["Resource"] = [each.replace("key/*", alias) for each in given["Resource"]]
    return given


def _with_policy_adapted(body: bytes) -> bytes:
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    policy = adapted(json.loads(form["PolicyDocument"]))
    return urlencode({**form, "PolicyDocument": json.dumps(policy)}).encode()


def _told(answer: dict[str, str], status: int) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def _api(swagger: bytes, api_id: str | None) -> str:
    tags = [{"Key": "ms-custom-id", "Value": api_id}] if api_id else []
    properties = {"Body": json.loads(swagger), "Tags": tags}
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": properties}
    return json.dumps({"Resources": {"Api": api}, "Outputs": {"ApiId": {"Value": {"Ref": "Api"}}}})
