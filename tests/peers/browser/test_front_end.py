"""JavaScript of a front end on another port of this machine works with the local cloud."""

import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.peers.browser.conftest import Tab
from tests.peers.cloud import Cloud

INVITE = """
async ([api, email]) => {
  const json = { "Content-Type": "application/json" };
  const claims = { role: "manager", tenant_id: "t1" };
  const got = await fetch(`${api}/_local/token`,
    { method: "POST", headers: json, body: JSON.stringify(claims) });
  const { token } = await got.json();
  const own = { Authorization: `Bearer ${token}` };
  const person = { name: "Ann Example", email, role: "staff" };
  const created = await fetch(`${api}/admin/v1/users`,
    { method: "POST", headers: { ...own, ...json, "Idempotency-Key": email },
      body: JSON.stringify(person) });
  const read = await fetch(created.headers.get("Location"), { headers: own });
  const refused = await fetch(`${api}/admin/v1/users`);
  return {
    statuses: [got, created, read, refused].map((answer) => answer.status),
    email: (await read.json()).data.email,
    etag: read.headers.get("ETag"),
    requestId: read.headers.get("X-Request-Id"),
    problem: (await refused.json()).title,
  };
}
"""


class Page(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Front end</title>")

    def log_request(self, *_: object) -> None:
        """Silent: the tests' output is theirs."""


@pytest.fixture
def front_end() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_it_gets_a_token_invites_somebody_and_reads_answers_with_their_headers(
    local: Cloud, tab: Tab, front_end: str
) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    tab.page.goto(front_end)

    seen = tab.page.evaluate(INVITE, [local.url, email])

    assert seen["statuses"] == [200, 201, 200, 401]
    assert seen["email"] == email
    assert seen["etag"]
    assert seen["requestId"]
    assert seen["problem"]
