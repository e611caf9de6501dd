"""Calls from browsers: allowed for the origins in settings, and for no others."""

import pytest
from msgspec.structs import replace

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Answer, Caller, Client

SHOP = "https://shop.example.com"
DESK = "https://desk.example.com:8443"
FOREIGN = "https://shop.example.com.evil.example"
EXPOSED = {
    "etag",
    "link",
    "retry-after",
    "location",
    "idempotent-replayed",
    "x-request-id",
    "server-timing",
}


def allow(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    from chalicelib.kernel.http import cors

    monkeypatch.setattr(cors, "settings", replace(cors.settings, cors_origins=origins))


@pytest.fixture(autouse=True)
def _two_origins(monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud) -> None:
    allow(monkeypatch, f"{SHOP}, {DESK}")


def preflight(client: Client, path: str, origin: str, method: str = "POST") -> Answer:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    return client.send("OPTIONS", path, headers=asked)


def words(answer: Answer, header: str) -> set[str]:
    return {word.strip().lower() for word in answer.headers.get(header, "").split(",")}


def test_a_preflight_from_an_allowed_origin_needs_no_token_and_no_call(
    cloud: LocalCloud, client: Client
) -> None:
    faults.clear()
    answer = preflight(client, "/admin/v1/users", SHOP)

    assert answer.status_code in (200, 204)
    assert answer.content == b""
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert words(answer, "Access-Control-Allow-Methods") >= {"get", "post"}
    assert words(answer, "Access-Control-Allow-Headers") >= {
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "x-request-id",
        "x-tenant-id",
    }
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert "origin" in words(answer, "Vary")
    assert faults.counts() == {}


def test_every_path_answers_a_preflight_with_its_own_methods(
    cloud: LocalCloud, client: Client
) -> None:
    from chalicelib.kernel.http import mounting

    for route in mounting.mounted():
        answer = preflight(client, route.path.replace("{", "").replace("}", ""), DESK, route.method)
        assert answer.headers["Access-Control-Allow-Origin"] == DESK, route.path
        assert route.method.lower() in words(answer, "Access-Control-Allow-Methods"), route.path


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://shop.example.com", SHOP + "/"])
def test_another_origin_is_allowed_nothing(client: Client, manager: Caller, origin: str) -> None:
    asked = preflight(client, "/admin/v1/users", origin)
    told = manager.get("/admin/v1/users", headers={"Origin": origin})

    for answer in (asked, told):
        named = [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert named == []
        assert "origin" in words(answer, "Vary")


def test_an_answer_to_an_allowed_origin_exposes_its_headers(manager: Caller) -> None:
    for answer in (
        manager.post("/admin/v1/users", {}, headers={"Origin": SHOP}),
        manager.get("/admin/v1/users", headers={"Origin": SHOP}),
        manager.get("/admin/v1/users/unknown", headers={"Origin": SHOP}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert words(answer, "Access-Control-Expose-Headers") >= EXPOSED
        assert "origin" in words(answer, "Vary")
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_304_and_a_503_are_readable_by_a_browser_too(manager: Caller) -> None:
    created = manager.create_user()
    path = f"/admin/v1/users/{created.json()['data']['user']['id']}"
    same = manager.get(path, headers={"Origin": SHOP, "If-None-Match": created.headers["ETag"]})
    faults.add(Fault("dynamodb", times=None))
    down = manager.get(path, headers={"Origin": SHOP})

    assert (same.status_code, down.status_code) == (304, 503)
    for answer in (same, down):
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP


def test_a_call_without_an_origin_is_told_that_answers_differ(manager: Caller) -> None:
    answer = manager.get("/admin/v1/users")

    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "origin" in words(answer, "Vary")


def test_without_origins_in_settings_nobody_is_allowed(
    monkeypatch: pytest.MonkeyPatch, client: Client, manager: Caller
) -> None:
    allow(monkeypatch, "")

    for answer in (
        preflight(client, "/admin/v1/users", SHOP),
        manager.get("/admin/v1/users", headers={"Origin": SHOP}),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_star_in_settings_allows_every_origin(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    allow(monkeypatch, "*")

    answer = preflight(client, "/admin/v1/users", FOREIGN)
    assert answer.headers["Access-Control-Allow-Origin"] in (FOREIGN, "*")
