"""Links under a stage prefix and behind a public address, as API Gateway's events bring them."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller

HOST = "abc123.execute-api.eu-central-1.amazonaws.com"
GATEWAY = f"https://{HOST}/api"
CALLER = {"sub": "manager-of-t1", "role": "manager", "tenant_id": "t1", "email": ""}


@pytest.fixture(autouse=True)
def _no_public_url(monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud) -> None:
    be_public_at(monkeypatch, "")


def be_public_at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    from chalicelib.kernel.http import dispatch

    monkeypatch.setattr(dispatch, "settings", replace(dispatch.settings, public_url=address))


def call(
    cloud: LocalCloud,
    method: str,
    resource: str,
    *,
    prefix: str = "/api",
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    body: Any = None,
    **captured: str,
) -> dict[str, Any]:
    """The app's answer to the event that API Gateway would build for this request."""
    path = resource.format(**captured)
    sent = {"Host": HOST, "X-Forwarded-Proto": "https", "Content-Type": "application/json"}
    event = {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": sent | (headers or {}),
        "multiValueHeaders": {},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": query and {name: [v] for name, v in query.items()},
        "pathParameters": captured or None,
        "stageVariables": None,
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "path": prefix + path,
            "stage": "api",
            "requestId": "gateway-request-1",
            "identity": {"sourceIp": "127.0.0.1"},
            "authorizer": CALLER,
        },
    }
    answer: dict[str, Any] = cloud.app(event, None)
    return {**answer, "headers": answer["headers"] | _joined(answer["multiValueHeaders"])}


def _joined(headers: dict[str, list[str]]) -> dict[str, str]:
    return {name: ", ".join(values) for name, values in headers.items()}


def create(cloud: LocalCloud, email: str = "ann@example.com", **how: Any) -> dict[str, Any]:
    body = {"name": "Ann", "email": email, "role": "staff"}
    return call(cloud, "POST", "/admin/v1/users", body=body, **how)


@pytest.mark.parametrize(
    ("prefix", "address"),
    [("/api", GATEWAY), ("", f"https://{HOST}"), ("/base/v2", f"https://{HOST}/base/v2")],
)
def test_location_holds_under_a_stage_or_base_path(
    cloud: LocalCloud, prefix: str, address: str
) -> None:
    answer = create(cloud, prefix=prefix)

    assert answer["statusCode"] == 201
    user_id = json.loads(answer["body"])["data"]["user"]["id"]
    assert answer["headers"]["Location"] == f"{address}/admin/v1/users/{user_id}"


def test_the_next_link_of_a_list_holds_under_a_prefix_and_leads_to_the_next_page(
    cloud: LocalCloud,
) -> None:
    create(cloud, "ann@example.com")
    create(cloud, "bob@example.com")
    query = {"per_page": "1", "role": "staff"}
    first = call(cloud, "GET", "/admin/v1/users", query=query)

    cursor = json.loads(first["body"])["meta"]["next_cursor"]
    link = first["headers"]["Link"]
    assert link.startswith(f"<{GATEWAY}/admin/v1/users?per_page=1&role=staff&cursor=")
    assert link.endswith('>; rel="next"')
    second = call(cloud, "GET", "/admin/v1/users", query={**query, "cursor": cursor})
    emails = [json.loads(page["body"])["data"][0]["email"] for page in (first, second)]
    assert emails == ["bob@example.com", "ann@example.com"]


def test_the_link_in_the_mail_holds_under_a_prefix(cloud: LocalCloud) -> None:
    create(cloud)
    cloud.run_until_idle()

    assert f"{GATEWAY}/invitations/accept?token=" in mailbox.sent()[0].text


def test_of_several_forwarded_protocols_the_outermost_counts(cloud: LocalCloud) -> None:
    answer = create(cloud, headers={"X-Forwarded-Proto": "https, http"})
    assert answer["headers"]["Location"].startswith(f"{GATEWAY}/admin/v1/users/")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "javascript:alert(1)//"},
        {"X-Forwarded-Proto": "ftp"},
        {"Host": 'evil.example"><script>'},
        {"Host": "user@evil.example"},
        {"Host": ""},
    ],
    ids=str,
)
def test_headers_that_make_no_address_are_a_400(cloud: LocalCloud, headers: dict[str, str]) -> None:
    assert create(cloud, headers=headers)["statusCode"] == 400


def test_the_described_server_is_the_address_with_its_prefix(cloud: LocalCloud) -> None:
    described = json.loads(call(cloud, "GET", "/openapi.json")["body"])

    assert described["servers"] == [{"url": GATEWAY}]


@pytest.mark.parametrize("address", ["https://api.example.com", "https://example.com/backburner/"])
def test_a_public_address_in_settings_stands_before_what_the_request_says(
    monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud, address: str
) -> None:
    be_public_at(monkeypatch, address)
    answer = create(cloud)
    cloud.run_until_idle()

    public = address.rstrip("/")
    assert answer["headers"]["Location"].startswith(f"{public}/admin/v1/users/")
    assert f"{public}/invitations/accept?token=" in mailbox.sent()[0].text
    described = json.loads(call(cloud, "GET", "/openapi.json")["body"])
    assert described["servers"] == [{"url": public}]


def test_a_forged_host_never_gets_into_a_mail_once_the_public_address_is_set(
    monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud
) -> None:
    be_public_at(monkeypatch, "https://api.example.com")
    create(cloud, headers={"Host": "evil.example", "X-Forwarded-Proto": "http"})
    cloud.run_until_idle()

    assert "evil.example" not in mailbox.sent()[0].text + mailbox.sent()[0].html


def test_a_key_outside_ascii_is_a_422(cloud: LocalCloud, manager: Caller) -> None:
    answer = create(cloud, headers={"Idempotency-Key": "schlüssel"})

    assert answer["statusCode"] == 422
    assert json.loads(answer["body"])["errors"][0]["field"] == "Idempotency-Key"
    assert manager.users() == []


def test_the_gateways_request_id_names_a_request_that_has_none(cloud: LocalCloud) -> None:
    own = call(cloud, "GET", "/admin/v1/users", headers={"X-Request-Id": "mine-1"})
    bad = call(cloud, "GET", "/admin/v1/users", headers={"X-Request-Id": "not well formed"})

    assert own["headers"]["X-Request-Id"] == "mine-1"
    assert bad["headers"]["X-Request-Id"] == "gateway-request-1"
