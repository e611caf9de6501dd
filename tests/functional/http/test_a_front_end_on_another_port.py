"""A page that another server of this machine serves calls the local cloud as the browser lets it.

A browser asks first (a preflight) and reads an answer only where the server names the page's
origin: https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

import pytest

from tests.functional.client import Answer, Client

pytestmark = pytest.mark.local  # a stage allows the origins in its settings alone

USERS = "/admin/v1/users"
HERE = [
    "http://localhost:3000",
    "http://localhost",
    "http://127.0.0.1:5173",
    "http://[::1]:8080",
    "https://localhost:4443",
]
ELSEWHERE = [
    "http://localhost.example.com",
    "http://localhost:3000.example.com",
    "http://example.com:3000",
    "http://127.0.0.1.example.com",
    "null",
]
ALLOWED = "Access-Control-Allow-Origin"
PERSON = {"name": "Ann Example", "email": "ann@example.com", "role": "staff"}


def words(answer: Answer, header: str) -> set[str]:
    return {word.strip().lower() for word in answer.headers.get(header, "").split(",")}


def preflight(client: Client, path: str, origin: str, method: str, headers: str) -> Answer:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    return client.send("OPTIONS", path, headers=asked)


@pytest.mark.parametrize("origin", HERE)
def test_it_gets_a_token_creates_and_reads(cloud: object, client: Client, origin: str) -> None:
    page = {"Origin": origin}
    asked = preflight(client, "/_local/token", origin, "POST", "content-type")
    assert asked.ok
    assert "content-type" in words(asked, "Access-Control-Allow-Headers")
    got = client.send(
        "POST", "/_local/token", json={"role": "manager", "tenant_id": "t1"}, headers=page
    )
    page_with_token = {**page, "Authorization": f"Bearer {got.json()['token']}"}

    asked_too = preflight(client, USERS, origin, "POST", "authorization,content-type")
    assert asked_too.ok
    assert {"get", "post"} <= words(asked_too, "Access-Control-Allow-Methods")
    assert {"authorization", "content-type"} <= words(asked_too, "Access-Control-Allow-Headers")
    created = client.send("POST", USERS, json=PERSON, headers=page_with_token)
    place = created.headers["Location"].removeprefix(client.url)
    read = client.send("GET", place, headers=page_with_token)
    assert (created.status_code, read.status_code) == (201, 200)

    for answer in (asked, got, asked_too, created, read):
        assert answer.headers[ALLOWED] == origin
        assert "origin" in words(answer, "Vary")
    for answer in (created, read):
        assert {"etag", "location", "x-request-id"} <= words(
            answer, "Access-Control-Expose-Headers"
        )


def test_it_can_read_what_the_gateway_refuses(cloud: object, client: Client) -> None:
    for path in (USERS, "/nothing"):
        answer = client.send("GET", path, headers={"Origin": HERE[0]})
        assert answer.status_code in (401, 404)
        assert answer.headers[ALLOWED] == HERE[0]


@pytest.mark.parametrize("origin", ELSEWHERE)
def test_a_page_from_elsewhere_is_allowed_nothing(
    cloud: object, client: Client, origin: str
) -> None:
    answers = [
        preflight(client, "/_local/token", origin, "POST", "content-type"),
        preflight(client, USERS, origin, "POST", "content-type"),
        client.send("POST", "/_local/token", json={}, headers={"Origin": origin}),
    ]
    assert [answer.headers.get(ALLOWED) for answer in answers] == [None] * 3


def test_a_page_from_elsewhere_cannot_steer_the_local_cloud(cloud: object, client: Client) -> None:
    """A browser sends a text without asking first, and hides only the answer."""
    fault = '{"service": "sqs", "kind": "outage"}'
    text = {"Origin": "http://example.com", "Content-Type": "text/plain"}

    assert client.send("POST", "/_local/faults", data=fault, headers=text).status_code == 403
    assert client.send("GET", "/_local/faults").json()["active"] == []
