"""A request goes out as botocore's own connection sends it, byte by byte, but in one write."""

import io
from typing import Any

import pytest
from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnectionPool

from chalicelib.kernel.aws import fast_path

HEADERS = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}


class Socket:
    """Takes what is written, and has nothing to say."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def settimeout(self, seconds: object) -> None: ...

    def close(self) -> None: ...


def written(kind: type[Any], *requests: dict[str, Any]) -> list[bytes]:
    """What a connection of this kind writes for requests that follow one another."""
    connection = kind("localhost", 80)
    connection.sock = socket = Socket()
    for request in requests:
        connection.request("POST", "/", **request)
        connection._HTTPConnection__state = "Idle"  # the answer was read
    return socket.writes


def test_botocore_makes_these_connections() -> None:
    assert AWSHTTPConnectionPool.ConnectionCls is fast_path._Connection
    assert AWSHTTPSConnectionPool.ConnectionCls is fast_path._SecureConnection


@pytest.mark.parametrize("body", [b"{}", b"x" * 100_000])
def test_head_and_body_are_one_write(body: bytes) -> None:
    request = {"body": body, "headers": {**HEADERS, "Content-Length": str(len(body))}}

    writes = written(fast_path._Connection, request, request)
    assert len(writes) == 2
    assert b"".join(writes) == b"".join(written(AWSHTTPConnection, request, request))


@pytest.mark.parametrize(
    "request_",
    [
        {"body": b"", "headers": HEADERS},
        {"body": None, "headers": HEADERS},
        {"body": "text", "headers": HEADERS},
        {"body": io.BytesIO(b"a file"), "headers": HEADERS},
        {"body": b"{}"},
        {"body": b"{}", "headers": HEADERS, "chunked": True},
        {"body": [b"some", b"pieces"], "headers": HEADERS, "chunked": True},
    ],
    ids=["empty", "none", "text", "file", "no headers", "chunked", "pieces"],
)
def test_a_body_of_another_kind_goes_as_botocore_sends_it(request_: dict[str, Any]) -> None:
    plain = {"body": b"{}", "headers": {**HEADERS, "Content-Length": "2"}}

    ours = written(fast_path._Connection, request_, plain)
    if isinstance(request_["body"], io.BytesIO):
        request_["body"].seek(0)
    assert b"".join(ours) == b"".join(written(AWSHTTPConnection, request_, plain))


def test_what_breaks_off_leaves_nothing_behind() -> None:
    """The next request over the connection is whole, whatever became of the one before."""

    class Broken(Socket):
        def sendall(self, data: bytes) -> None:
            super().sendall(data)
            if len(self.writes) == 1:
                raise BrokenPipeError

    connection = fast_path._Connection("localhost", 80)
    connection.sock = socket = Broken()
    plain = {"body": b"{}", "headers": {**HEADERS, "Content-Length": "2"}}
    with pytest.raises(BrokenPipeError):
        connection.request("POST", "/", **plain)
    connection._HTTPConnection__state = "Idle"
    connection.request("POST", "/", **plain)

    assert socket.writes[0] == socket.writes[1]
