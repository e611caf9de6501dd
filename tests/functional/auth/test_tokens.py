"""Bearer tokens: one that is missing, forged, old, or from elsewhere is a 401."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from msgspec.structs import replace

from chalicelib.kernel.auth import tokens
from infra.deploy import gateway
from infra.local.issuer import ALGORITHM, AUDIENCE, ISSUER, KEY_ID, Issuer
from tests.functional.client import Answer, Client

CLAIMS = {"sub": "manager-of-t1", "role": "manager", "tenant_id": "t1"}


def list_users(client: Client, authorization: str | None) -> Answer:
    headers = {} if authorization is None else {"Authorization": authorization}
    return client.send("GET", "/admin/v1/users", headers=headers)


def assert_refused(answer: Answer) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def usual(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600, **CLAIMS, **changes}


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_good_token_is_taken(client: Client) -> None:
    assert list_users(client, f"Bearer {client.make_token(CLAIMS)}").status_code == 200
    assert list_users(client, f"bearer {client.make_token(CLAIMS)}").status_code == 200


def test_of_several_roles_the_strongest_counts(client: Client) -> None:
    token = client.make_token({**CLAIMS, "role": ["customer", "unheard-of", "manager"]})

    assert list_users(client, f"Bearer {token}").status_code == 200


def test_an_audience_may_be_one_of_several(client: Client) -> None:
    token = client.make_token({**CLAIMS, "aud": ["another", AUDIENCE]})

    assert list_users(client, f"Bearer {token}").status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer garbage",
        "Bearer a.b.c",
        "Bearer ..",
        "Basic bWFuYWdlcjpwYXNz",
        "Token abc",
        "Bearer " + "x" * 6000,
    ],
)
def test_no_token_or_garbage_is_refused(client: Client, authorization: str | None) -> None:
    assert_refused(list_users(client, authorization))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": 1_700_000_000},
        {"exp": "soon"},
        {"nbf": 9_999_999_999},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": ""},
        {"aud": None},
        {"iss": "https://issuer.example.com"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"role": "root"},
        {"role": ""},
        {"role": None},
        {"role": ["root"]},
        {"role": []},
        {"sub": None},
    ],
    ids=str,
)
def test_a_well_signed_token_with_wrong_claims_is_refused(
    client: Client, changes: dict[str, Any]
) -> None:
    assert_refused(list_users(client, f"Bearer {signed(client, usual(**changes))}"))


@pytest.mark.parametrize("missing", ["exp", "aud", "iss", "role", "sub"])
def test_a_token_that_lacks_a_claim_is_refused(client: Client, missing: str) -> None:
    claims = usual()
    del claims[missing]

    assert_refused(list_users(client, f"Bearer {signed(client, claims)}"))


def signed(client: Client, claims: dict[str, Any]) -> str:
    """Exactly these claims, truly signed by the local issuer (PyJWT would check their types)."""
    issuer: Issuer = client.make_token.__self__
    payload = json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, issuer._key, ALGORITHM, headers={"kid": KEY_ID})


def test_an_expired_token_is_refused_beyond_the_leeway(client: Client) -> None:
    now = int(time.time())

    assert list_users(client, f"Bearer {signed(client, usual(exp=now - 5))}").status_code == 200
    assert_refused(list_users(client, f"Bearer {signed(client, usual(exp=now - 60))}"))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_an_unsigned_token_is_refused(client: Client, algorithm: str) -> None:
    header = encoded({"alg": algorithm, "kid": KEY_ID, "typ": "JWT"})

    assert_refused(list_users(client, f"Bearer {header}.{encoded(usual())}."))


def test_a_token_signed_by_the_public_key_as_a_secret_is_refused(client: Client) -> None:
    issuer: Issuer = client.make_token.__self__
    public = issuer._key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header, payload = encoded({"alg": "HS256", "kid": KEY_ID}), encoded(usual())
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{header}.{payload}".encode(), public
    )
    mac = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()

    assert_refused(list_users(client, f"Bearer {header}.{payload}.{mac}"))


@pytest.mark.parametrize("key_id", [KEY_ID, "another", None])
def test_a_token_signed_by_a_foreign_key_is_refused(client: Client, key_id: str | None) -> None:
    foreign = Issuer()._key
    headers = {} if key_id is None else {"kid": key_id}

    assert_refused(
        list_users(client, f"Bearer {jwt.encode(usual(), foreign, ALGORITHM, headers=headers)}")
    )


@pytest.mark.parametrize("change", [{"role": "admin"}, {"tenant_id": "t2"}, {"exp": 9_999_999_999}])
def test_an_edited_payload_is_refused(client: Client, change: dict[str, Any]) -> None:
    header, payload, signature = client.make_token(CLAIMS).split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))

    assert_refused(
        list_users(client, f"Bearer {header}.{encoded({**claims, **change})}.{signature}")
    )


def test_a_refusal_says_nothing_of_why(client: Client) -> None:
    details = {
        list_users(client, f"Bearer {token}").json()["detail"]
        for token in ("garbage", signed(client, usual(exp=1)), signed(client, usual(aud="x")))
    }

    assert len(details) == 1


def test_while_nobody_can_be_judged_it_is_the_503_that_is_set_at_deployment(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The issuer's keys cannot be read, and none are known."""
    unread = replace(tokens.settings, jwks_url="http://127.0.0.1:9/keys")
    monkeypatch.setattr(tokens, "settings", unread)
    answer = list_users(client, f"Bearer {client.make_token({**CLAIMS, 'sub': 'fresh'})}")

    kind = "AUTHORIZER_CONFIGURATION_ERROR"  # what API Gateway calls an authorizer that raises
    (deployed,) = [each for each in gateway.wanted(()) if each["responseType"] == kind]
    header = deployed["responseParameters"]["gatewayresponse.header.Retry-After"]
    problem = json.loads(deployed["responseTemplates"]["application/json"])
    assert answer.status_code == int(deployed["statusCode"]) == 503
    assert f"'{answer.headers['Retry-After']}'" == header
    assert {**answer.json(), "request_id": ""} == {**problem, "request_id": ""}


def test_every_route_but_the_public_ones_wants_a_token(client: Client, cloud: Any) -> None:
    """Which are public is pinned in tests/contract/test_routes.py."""
    from chalicelib.kernel.http import mounting

    closed = [route for route in mounting.mounted() if route.allow]
    assert {"/admin/v1/users", "/admin/v1/tenants"} <= {route.path for route in closed}
    for route in closed:
        answer = client.send(route.method, route.path.replace("{", "").replace("}", ""))
        assert answer.status_code == 401, (route.method, route.path)
