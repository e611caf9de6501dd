# ruff: noqa: INP001  not of a package: it runs where nothing of ours is on the path
"""AWS that answers at once: below the SDK, where botocore hands a signed request to HTTP.

Everything above is each variant's own: serialising, signing, retries, parsing. The answers are
what the services send, with the headers that botocore looks at.
"""

import io
import json
import sys
import time
import zlib
from collections import Counter
from typing import Any

import botocore.awsrequest
import botocore.httpsession

calls: Counter[str] = Counter()  #: made so far, by operation
_EXPIRES = str(int(time.time()) + 86_400)
_TENANT = {
    "tenant": {"S": "#tenants"},
    "sk": {"S": "t1"},
    "name": {"S": "Alder Books"},
    "status": {"S": "active"},
    "version": {"N": "1"},
}
_SENT = [
    {
        "Id": number,
        "MessageId": f"5fea7756-0ea4-451a-a703-a558b933e27{number}",
        "MD5OfMessageBody": "0",
    }
    for number in ("0", "1")
]
_BODIES = {
    "TransactWriteItems": {},
    "PutItem": {},
    "UpdateItem": {},
    "Query": {"Items": [_TENANT], "Count": 1, "ScannedCount": 1},
    "DescribeTable": {},
    "GetQueueUrl": {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/bench-notify"},
    "SendMessageBatch": {"Successful": _SENT, "Failed": []},
    "GetParameter": {"Parameter": {"Value": "of-this-bench-only"}},
}
_ENCODED = {name: json.dumps(body).encode() for name, body in _BODIES.items()}


class _Raw(io.BytesIO):
    """The body as urllib3 gives it."""

    def stream(self, **_: Any) -> Any:
        yield self.read()


def _send(_: Any, request: Any) -> Any:
    target = request.headers["X-Amz-Target"]
    operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
    calls[operation] += 1
    body = _ENCODED[operation]
    headers = {
        "x-amzn-RequestId": "07f78e0d-6d1c-5b3c-9d3a-2f9c1f6c2d5e",
        "Content-Type": "application/x-amz-json-1.0",
        "Content-Length": str(len(body)),
        "x-amz-crc32": str(zlib.crc32(body)),
        "Date": "Sun, 22 Nov 2026 12:00:00 GMT",
    }
    return botocore.awsrequest.AWSResponse(request.url, 200, _Http(headers), _Raw(body))


class _Http(dict[str, str]):
    """Headers whatever their case, as urllib3's."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def install() -> None:
    """Replaces the network for every client of this process."""
    botocore.httpsession.URLLib3Session.send = _send


def report() -> None:
    """The calls made, for whoever asks why."""
    sys.stderr.write(f"{dict(calls)}\n")
