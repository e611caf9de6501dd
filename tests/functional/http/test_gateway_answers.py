"""What the local gateway answers by itself is what the deployed one is told to answer."""

import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from infra.deploy import gateway
from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller, Client

USERS = "/admin/v1/users"
SHOP, DESK = "https://shop.example.com", "https://desk.example.com"
HEADER = "gatewayresponse.header."


@pytest.fixture(params=[(), (SHOP,), (SHOP, DESK)], ids=["no origin", "one", "two"])
def origins(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud
) -> tuple[str, ...]:
    from chalicelib.kernel import settings as module

    found: tuple[str, ...] = request.param
    changed = replace(module.settings, cors_origins=", ".join(found))
    monkeypatch.setattr(module, "settings", changed)
    return found


def answers(client: Client, manager: Caller) -> Iterator[tuple[str, Answer]]:
    """Answers of the gateway by the type that it has for them."""
    yield "UNAUTHORIZED", client.send("GET", USERS)
    yield "UNAUTHORIZED", client.with_token("nonsense").post(USERS, {})
    for method in ("GET", "POST", "OPTIONS", "TRACE"):
        yield "MISSING_AUTHENTICATION_TOKEN", client.send(method, "/nothing")
        yield "MISSING_AUTHENTICATION_TOKEN", manager.send(method, "/nothing/at/all")
    yield "REQUEST_TOO_LARGE", manager.send("POST", USERS, data=b" " * (11 << 20))


def test_each_answer_is_word_for_word_that_of_the_deployment(
    client: Client, manager: Caller, origins: tuple[str, ...]
) -> None:
    for kind, answer in answers(client, manager):
        assert_as_deployed(kind, answer, origins)


def test_an_issuer_that_cannot_be_reached_is_told_as_by_the_deployment(
    monkeypatch: pytest.MonkeyPatch, client: Client, manager: Caller, origins: tuple[str, ...]
) -> None:
    from chalicelib.kernel.auth import tokens

    nowhere = replace(tokens.settings, jwks_url="http://127.0.0.1:1/jwks.json")
    monkeypatch.setattr(tokens, "settings", nowhere)

    assert_as_deployed("AUTHORIZER_FAILURE", manager.get(USERS), origins)


def assert_as_deployed(kind: str, answer: Answer, origins: tuple[str, ...]) -> None:
    (told,) = (each for each in gateway.wanted(origins) if each["responseType"] == kind)
    assert answer.status_code == int(told["statusCode"]), kind
    text = told["responseTemplates"]["application/json"]
    request_id = answer.headers["X-Request-Id"]
    assert answer.json() == json.loads(text.replace("$context.requestId", request_id))
    constant = {
        name.removeprefix(HEADER): value.strip("'")
        for name, value in told["responseParameters"].items()
        if value.startswith("'")
    }
    assert {name: answer.headers.get(name) for name in constant} == constant
    allowed = answer.headers.get("Access-Control-Allow-Origin")
    assert allowed == constant.get("Access-Control-Allow-Origin")
    assert (allowed is None) is (not origins)
