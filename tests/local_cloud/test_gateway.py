"""The gateway's own answers are problems as all errors are."""

import socket

import pytest
import requests

from tests.local_cloud.programs import PATIENCE, Cloud, problem_of

pytestmark = pytest.mark.local

REQUEST_LINE = "POST /admin/v1/users HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/admin/v1/users", {}, 401),
        ("GET", "/admin/v1/users", {"Authorization": "Bearer nonsense"}, 401),
        ("GET", "/admin/v1/users", {"Authorization": "Bearer é".encode()}, 401),
        ("GET", "/nothing", {}, 404),
        ("GET", "/nothing", {"Authorization": "Bearer x"}, 404),
        ("GET", "/_localnothing", {}, 404),
        ("BREW", "/nothing", {}, 404),
    ],
)
def test_a_refusal_is_a_problem_with_a_request_id(
    shared_cloud: Cloud, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = requests.request(method, shared_cloud.url + path, headers=headers, timeout=PATIENCE)
    problem = problem_of(answer)
    assert (answer.status_code, problem["status"]) == (status, status)
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    shared_cloud.program.until_printed(rf"  {status} {method} +{path}  [\d.]+ ms\n")


def test_a_well_formed_request_id_is_kept(shared_cloud: Cloud) -> None:
    headers = {"X-Request-Id": "my-own-1"}
    answer = requests.get(f"{shared_cloud.url}/nothing", headers=headers, timeout=PATIENCE)
    assert answer.headers["X-Request-Id"] == "my-own-1"


@pytest.mark.parametrize("method", ["TRACE", "BREW", "PUT", "HEAD"])
def test_a_request_with_another_method_is_answered_with_the_methods_of_the_path(
    shared_cloud: Cloud, method: str
) -> None:
    answer = requests.request(method, f"{shared_cloud.url}/admin/v1/users", timeout=PATIENCE)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST", "OPTIONS"}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("JUNK\r\n\r\n", 400),
        (f"{REQUEST_LINE}Content-Length: five\r\n\r\n", 400),
        (f"{REQUEST_LINE}Content-Length: -5\r\n\r\n", 400),
        (f"{REQUEST_LINE}Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (f"{REQUEST_LINE}Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n", 413),
        (f"GET /{'a' * 70_000} HTTP/1.1\r\n\r\n", 414),
    ],
)
def test_an_unreadable_request_is_refused_and_the_connection_closed(
    shared_cloud: Cloud, request_: str, status: int
) -> None:
    host, _, port = shared_cloud.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(request_.encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until it is closed
    assert f'"status": {status}'.encode() in answer


def test_a_body_over_the_gateways_limit_is_refused(shared_cloud: Cloud) -> None:
    answer = requests.post(
        f"{shared_cloud.url}/admin/v1/users", data=b" " * (11 << 20), timeout=PATIENCE
    )
    assert problem_of(answer)["status"] == 413


def test_a_body_in_chunks_is_read(shared_cloud: Cloud) -> None:
    chunks = iter([b'{"role": ', b'"staff", "tenant_id": "t1"}'])
    answer = requests.post(f"{shared_cloud.url}/_local/token", data=chunks, timeout=PATIENCE)
    assert answer.json()["token"]


def test_many_clients_at_once_are_all_served(shared_cloud: Cloud) -> None:
    host, _, port = shared_cloud.url.removeprefix("http://").partition(":")
    connections = [socket.create_connection((host, int(port)), PATIENCE) for _ in range(200)]
    for connection in connections:
        connection.sendall(b"GET /_local/state HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    for connection in connections:
        assert connection.recv(20).startswith(b"HTTP/1.1 200")
        connection.close()
