"""A provider that lies, drips, floods, echoes: nothing leaks, nobody waits, the run ends."""

import html
import json
import statistics
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from chalicelib.kernel import cache
from chalicelib.kernel.outbound import web
from chalicelib.projects import gateway
from chalicelib.projects.gateway import Region, openstack
from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests import settings
from tests.functional.client import Caller, Client
from tests.functional.projects.workflow import status
from tests.functional.services import Script, answering, serving
from tests.functional.web.sessions import setting

PASSWORD = 'Tr0ub"ä & 4dor\\3'
MARKS = ("Tr0ub", "4dor", "VHIwdWI", "547230756222")
REGION = {
    "provider": "openstack",
    "name": "hostile",
    "account": "Default/admin",
    "username": "backburner",
    "password": PASSWORD,
}
LOGGED_IN = {"token": {"user": {"domain": {"id": "default"}}}}
FOREIGN = {"id": "000foreign", "name": "production of others", "enabled": True, "tags": []}
ECHOES = [
    PASSWORD,
    json.dumps(PASSWORD),
    json.dumps(PASSWORD, ensure_ascii=False),
    json.dumps(json.dumps(PASSWORD)),
    repr(PASSWORD),
    quote(PASSWORD),
    quote(PASSWORD, safe=""),
    quote_plus(PASSWORD),
    html.escape(PASSWORD),
    b64encode(PASSWORD.encode()).decode(),
    b64encode(f"backburner:{PASSWORD}".encode()).decode(),
    PASSWORD.encode().hex(),
    PASSWORD.upper(),
    " ".join(PASSWORD),
]


class Keystone:
    """A server that logs us in, and then answers as its test says."""

    def __init__(self, listing: Any = None, created: Any = None, raw: Script | None = None) -> None:
        self.listing = {"projects": []} if listing is None else listing
        self.created = {"project": {"id": "p1"}} if created is None else created
        self.raw = raw
        self.changes: list[str] = []  #: calls that would change something, but for making a project

    def __call__(self, request: BaseHTTPRequestHandler, number: int) -> None:
        call = f"{request.command} {request.path.partition('?')[0]}"
        if call == "POST /v3/auth/tokens":
            answer = answering(201, json.dumps(LOGGED_IN).encode(), X_Subject_Token="t0k3n-of-ours")
        elif self.raw:
            answer = self.raw
        elif call == "GET /v3/projects":
            answer = answering(200, json.dumps(self.listing).encode())
        elif call == "POST /v3/projects":
            answer = answering(201, json.dumps(self.created).encode())
        else:
            self.changes.append(call)
            answer = answering(500)
        answer(request, number)


@contextmanager
def region(client: Client, script: Script) -> Iterator[None]:
    """A region at a hostile server on this machine."""
    openstack._scopes.clear()
    cache.forget_all()
    with serving(script) as server, settings.changed(private_addresses=True):
        address = f"http://127.0.0.1:{server.server_port}/v3"
        made = client.as_("admin", None).post("/admin/v1/regions", {**REGION, "address": address})
        assert made.status_code == 201, made.text
        yield


def tried(cloud: LocalCloud, manager: Caller) -> dict[str, Any]:
    """A project in the hostile region, once its run has ended; all that the tenant sees of it."""
    body = {"name": "Harbour", "provider": "openstack", "region": "hostile"}
    answer = manager.post("/admin/v1/projects", body)
    assert answer.status_code == 201, answer.text
    cloud.run_until_idle()
    project_id = answer.json()["data"]["id"]
    shown = status(manager, project_id)
    seen = [shown, manager.get(f"/admin/v1/projects/{project_id}").json()["data"]]
    mails = [f"{mail.subject} {mail.text} {mail.html}" for mail in mailbox.sent()]
    return {**shown, "seen": json.dumps(seen, ensure_ascii=False) + " ".join(mails)}


def error_of(shown: dict[str, Any]) -> str:
    assert shown["status"] == "failed"
    return str(shown["error"])


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("place", ["log-in", "call"])
def test_an_echoed_password_reaches_neither_tenant_nor_log(
    cloud: LocalCloud,
    client: Client,
    manager: Caller,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    echo: str,
    place: str,
) -> None:
    words = json.dumps({"error": {"message": f"Invalid input: {echo} does not match"}}).encode()
    refusing = answering(400, words)
    with region(client, refusing if place == "log-in" else Keystone(raw=refusing)):
        shown = tried(cloud, manager)

    assert "400" in error_of(shown)
    assert "Invalid input" not in shown["seen"]
    logged = "".join(capfd.readouterr()) + json.dumps(
        [each.__dict__ for each in caplog.records], default=str
    )
    for mark in MARKS:
        assert mark.lower() not in (shown["seen"] + logged).lower(), mark


def test_somebody_else_s_rows_are_not_ours(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    """A Keystone before Identity API 3.9 ignores tags and lists all projects."""
    hostile = Keystone(listing={"projects": [FOREIGN]})
    with region(client, hostile):
        shown = tried(cloud, manager)

    assert "000foreign" not in shown["seen"]
    assert not [call for call in hostile.changes if "000foreign" in call]


FORMS: list[Any] = [
    {"projects": {"id": "p1"}},
    {"projects": [["p1"]]},
    {"projects": ["p1"]},
    {"projects": None},
    {"projects": [None]},
    {"projects": [{"name": "x"}]},
    {"projects": [{"id": 7, "name": "x"}]},
    {},
    [],
    "text",
    7,
    None,
]


@pytest.mark.parametrize("listing", [form for form in FORMS if form is not None], ids=repr)
def test_an_answer_of_another_form_is_one_clear_error(
    cloud: LocalCloud, client: Client, manager: Caller, listing: Any
) -> None:
    with region(client, Keystone(listing=listing)):
        shown = tried(cloud, manager)

    assert "its answer has an unknown form" in error_of(shown)
    (first,) = [each for each in shown["progress"]["steps"] if each["status"] == "failed"]
    assert first["attempts"] == 1


@pytest.mark.parametrize(
    "identity", ["../../../evil?x=", "..", ".", "", "a/b", "a b", "x" * 65, None, 7, ["p1"], {}]
)
def test_an_id_that_must_not_stand_in_a_path_is_refused(
    cloud: LocalCloud, client: Client, manager: Caller, identity: Any
) -> None:
    hostile = Keystone(created={"project": {"id": identity}})
    with region(client, hostile):
        shown = tried(cloud, manager)

    assert "its answer has an unknown form" in error_of(shown)
    assert hostile.changes == []


@pytest.mark.parametrize(
    "token", ["a" + " " * 60 + "b", "x" * 9000, ""], ids=["blanks", "long", "no"]
)
def test_a_token_that_is_none_is_refused_at_once(
    cloud: LocalCloud, client: Client, manager: Caller, token: str
) -> None:
    body = json.dumps({**LOGGED_IN, "error": {"message": "a" + " " * 90 + "c"}}).encode()
    started = time.monotonic()
    with region(client, answering(201, body, X_Subject_Token=token)):
        shown = tried(cloud, manager)

    assert "its log-in gives no token" in error_of(shown)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("saved", ["../../../evil?x=", "..", "", "a/../b", "a b"])
def test_an_id_that_an_earlier_release_saved_stands_in_no_path(
    monkeypatch: pytest.MonkeyPatch, saved: str
) -> None:
    setting(monkeypatch, private_addresses=True)
    openstack._scopes.clear()
    hostile = Keystone()
    with serving(hostile) as server:
        address = f"http://127.0.0.1:{server.server_port}/v3"
        where = Region("openstack", "hostile", address, "Default/admin", "backburner", PASSWORD)
        with gateway.connect(where) as cloud, pytest.raises(gateway.Refused, match="an id that"):
            cloud.delete_project(saved)
    assert hostile.changes == []


def flood(request: BaseHTTPRequestHandler, number: int) -> None:
    message = "token" * (3 * 1024 * 1024)
    answering(400, json.dumps({"error": {"message": message}}).encode())(request, number)


def drip(request: BaseHTTPRequestHandler, _number: int) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "4000000")
    request.end_headers()
    while not request.server.released.wait(0.05):  # type: ignore[attr-defined]
        request.wfile.write(b"x")


def times_of(caller: Caller, until: Callable[[], bool]) -> list[float]:
    """How long another tenant's list takes, again and again."""
    found: list[float] = []
    while not until() or len(found) < 20:
        started = time.perf_counter()
        assert caller.get("/admin/v1/users").status_code == 200
        found.append(time.perf_counter() - started)
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("script", [flood, drip], ids=["16 MB of a word", "a byte at a time"])
def test_another_tenant_does_not_wait_for_a_hostile_provider(
    cloud: LocalCloud,
    client: Client,
    manager: Caller,
    other: Caller,
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
) -> None:
    monkeypatch.setattr(web, "WHOLE_ANSWER_SECONDS", 0.5)
    usual = statistics.median(times_of(other, lambda: True))
    found: list[dict[str, Any]] = []
    with region(client, script):
        worker = threading.Thread(target=lambda: found.append(tried(cloud, manager)))
        worker.start()
        times = times_of(other.in_a_session_of_its_own(), lambda: not worker.is_alive())
        worker.join()

    assert "hostile" in error_of(found[0])
    assert statistics.median(times) < 2 * usual + 0.01
    assert max(times) < 1
