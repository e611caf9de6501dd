"""How calls are written, signed and sent, and answers read: a shorter way to what botocore does.

botocore walks through the shape of every value, on the way out and on the way in, and prepares a
request twice to sign it: a quarter of the CPU of an accepted request, and a third of a job's.
Whatever is not the plain case here goes to botocore's own; tests compare the two.
"""

import hashlib
import hmac
import time
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import msgspec
from botocore import auth, awsrequest, parsers, serialize

SIGNATURE = "backburner"  #: by which name botocore knows our Signer
_OK = 200


class Writer(serialize.JSONSerializer):  # type: ignore[misc, unused-ignore]
    """Writes calls of DynamoDB and SQS as they are: their members are named in JSON as in Python,
    and bytes become base64. botocore's own walks through every value's shape to find that out.
    """

    def serialize_to_request(self, parameters: Any, operation_model: Any) -> Any:
        if operation_model.service_model.service_name not in ("dynamodb", "sqs"):
            return super().serialize_to_request(parameters, operation_model)
        request = super().serialize_to_request({}, operation_model)
        request["body"] = msgspec.json.encode(parameters)
        return request


class Signer(auth.SigV4Auth):  # type: ignore[misc, unused-ignore]
    """Signs what JSON services take, a POST of bytes to `/`; leaves the rest to botocore's own.

    The same signature as botocore's, but the headers are walked through once, the key is kept for
    its day, and the request is not prepared a second time for the sake of its body.
    """

    def add_auth(self, request: Any) -> None:
        host = _host_of(request.url)
        if not (host and self.credentials and _is_plain(request)):
            super().add_auth(request)
            return
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        request.context["timestamp"] = now
        headers = request.headers
        for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token"):
            del headers[name]  # of an earlier try
        headers["X-Amz-Date"] = now
        if self.credentials.token:
            headers["X-Amz-Security-Token"] = self.credentials.token
        headers["Authorization"] = self._authorization(headers, host, request.data, now)

    def _authorization(self, headers: Any, host: str, body: bytes, now: str) -> str:
        signed = {name.lower(): " ".join(str(value).split()) for name, value in headers.items()}
        signed.setdefault("host", host)
        names = sorted(signed.keys() - auth.SIGNED_HEADERS_BLACKLIST)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        digest = hashlib.sha256(body).hexdigest()
        request = f"POST\n/\n\n{lines}\n{';'.join(names)}\n{digest}"
        scope = f"{now[:8]}/{self._region_name}/{self._service_name}/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = _signing_key(self.credentials.secret_key, *scope.split("/"))
        signature = _hmac(key, f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}").hex()
        return (
            f"AWS4-HMAC-SHA256 Credential={self.credentials.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )


def _is_plain(request: Any) -> bool:
    return (
        request.method == "POST"
        and isinstance(request.data, bytes)
        and not request.params
        and "Date" not in request.headers
        and "X-Amz-Content-SHA256" not in request.headers
        and request.context.get("payload_signing_enabled", True)
        and "checksum" not in request.context
    )


@lru_cache(maxsize=64)
def _host_of(url: str) -> str:
    """The host as it is signed; empty when the request is not simply to `/`."""
    parts = urlsplit(url)
    return "" if parts.path not in ("", "/") or parts.query else str(auth._host_from_url(url))


@lru_cache(maxsize=16)
def _signing_key(secret: str, *scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


class _InOnePiece(awsrequest.AWSConnection):  # type: ignore[misc, unused-ignore]
    """Sends a request's head and body in one write.

    urllib3 2 writes them one after the other: two packets, two TLS records, and the other side
    wakes up twice. botocore's connection joins them when it is handed the body with the head.
    """

    _body: bytes | None = None  #: goes with the head
    _is_sent = False  #: head and body are out: what comes now is that body once more

    def request(self, *args: Any, body: Any = None, headers: Any = None, **how: Any) -> Any:
        is_whole = isinstance(body, bytes) and not how.get("chunked")
        # Who expects a 100 waits for it between head and body.
        self._body = body if is_whole and "Expect" not in (headers or {}) else None
        try:
            return super().request(*args, body=body, headers=headers, **how)
        finally:
            self._body, self._is_sent = None, False

    def _send_output(self, message_body: Any = None, **how: Any) -> None:
        super()._send_output(self._body if message_body is None else message_body, **how)
        self._is_sent = self._body is not None

    def send(self, data: Any) -> None:
        if not self._is_sent:
            super().send(data)


class _Connection(_InOnePiece, awsrequest.AWSHTTPConnection):  # type: ignore[misc, unused-ignore]
    """To an emulator."""


class _SecureConnection(_InOnePiece, awsrequest.AWSHTTPSConnection):  # type: ignore[misc, unused-ignore]
    """To AWS."""


class Reader(parsers.JSONParser):  # type: ignore[misc, unused-ignore]
    """Reads an answer as it is, where it holds nothing but what JSON knows.

    Bytes and times are botocore's matter; so is every answer that is an error.
    """

    def parse(self, response: Any, shape: Any) -> Any:
        body = response["body"]
        if response["status_code"] != _OK or not _is_plain_json(body, shape):
            return super().parse(response, shape)
        try:
            parsed = msgspec.json.decode(body) if body else {}
        except msgspec.DecodeError:
            return super().parse(response, shape)
        headers = {name.lower(): value for name, value in response["headers"].items()}
        told = {"HTTPStatusCode": _OK, "HTTPHeaders": headers}
        if "x-amzn-requestid" in headers:
            told["RequestId"] = headers["x-amzn-requestid"]
        parsed["ResponseMetadata"] = told
        return parsed


def _is_plain_json(body: bytes, shape: Any) -> bool:
    others = _other_members(shape)
    return others is not None and not any(each in body for each in others)


@lru_cache(maxsize=64)
def _other_members(shape: Any) -> frozenset[bytes] | None:
    """What stands in an answer only if it is not plain: members that are bytes, and null.

    None where plain answers cannot be told: times are numbers, and names may be written otherwise.
    """
    found = {b"null"}
    is_plain = shape is None or _look_through(shape, "", found, set())
    return frozenset(found) if is_plain else None


def _look_through(shape: Any, name: str, found: set[bytes], seen: set[tuple[str, str]]) -> bool:
    """Adds the members of bytes below `shape`, which is called `name`, to what was found."""
    if shape.type_name == "blob":
        found.add(f'"{name}":'.encode())
        return bool(name)
    if (shape.name, name) in seen:
        return True
    seen.add((shape.name, name))
    if shape.type_name == "structure":
        return all(
            not member.serialization.keys() & {"name", "eventstream"}
            and _look_through(member, called, found, seen)
            for called, member in shape.members.items()
        )
    if shape.type_name == "list":
        return _look_through(shape.member, name, found, seen)
    if shape.type_name == "map":
        return _look_through(shape.value, "", found, seen)
    return bool(shape.type_name != "timestamp")


auth.AUTH_TYPE_MAPS[SIGNATURE] = Signer
serialize.SERIALIZERS["json"] = Writer
parsers.PROTOCOL_PARSERS["json"] = Reader
awsrequest.AWSHTTPConnectionPool.ConnectionCls = _Connection
awsrequest.AWSHTTPSConnectionPool.ConnectionCls = _SecureConnection
