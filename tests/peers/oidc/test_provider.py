"""Tokens of a certified OpenID Connect provider: its own are taken, whatever else is refused."""

from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization

from tests.peers.cloud import Cloud
from tests.peers.oidc import provider as providers
from tests.peers.oidc import tokens
from tests.peers.oidc.provider import ELSEWHERE, Keys, Provider

FOREIGN = Keys("foreign")


def assert_refused(answer: requests.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.fixture
def good(provider: Provider) -> str:
    """A token of the provider that is taken."""
    return provider.client_token("importer")


@pytest.mark.parametrize(("client", "algorithm"), [("importer", "RS256"), ("elliptic", "ES256")])
def test_a_program_calls_with_its_client_credentials(
    provider: Provider, cloud: Cloud, client: str, algorithm: str
) -> None:
    token = provider.client_token(client)

    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert cloud.users(token).status_code == 200


def test_a_person_calls_after_signing_in_with_code_and_pkce(
    provider: Provider, cloud: Cloud
) -> None:
    token = provider.persons_token("ann")

    assert tokens.claims_of(token)["sub"] == "ann"
    assert cloud.users(token).status_code == 200


def test_the_role_in_the_token_decides_what_its_holder_may(
    provider: Provider, cloud: Cloud
) -> None:
    assert cloud.users(provider.persons_token("carl")).status_code == 403


def test_a_token_for_another_audience_is_refused(provider: Provider, cloud: Cloud) -> None:
    assert_refused(cloud.users(provider.client_token("importer", ELSEWHERE)))


def test_a_token_without_a_role_is_refused(provider: Provider, cloud: Cloud) -> None:
    assert_refused(cloud.users(provider.client_token("nobody")))


def test_a_token_is_refused_once_it_has_expired(provider: Provider, cloud: Cloud) -> None:
    token = provider.client_token("hurried")

    tokens.eventually("a 401", lambda: cloud.users(token).status_code == 401, seconds=5)


@pytest.mark.parametrize(
    "changes",
    [
        {"nbf": 9_999_999_999},
        {"iat": 9_999_999_999},
        {"exp": 1},
        {"iss": "https://another.example"},
        {"aud": ELSEWHERE},
        {"sub": None},
        {"role": "root"},
    ],
    ids=str,
)
def test_not_even_the_providers_own_key_saves_wrong_claims(
    provider: Provider, cloud: Cloud, good: str, changes: dict[str, Any]
) -> None:
    claims = tokens.claims_of(good)
    assert cloud.users(provider.keys.sign(claims)).status_code == 200

    assert_refused(cloud.users(provider.keys.sign({**claims, **changes})))


def test_another_provider_s_token_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    with providers.running(Keys("first"), tmp_path / "log") as other:
        assert_refused(cloud.users(other.client_token("importer")))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(cloud: Cloud, good: str, algorithm: str) -> None:
    assert_refused(cloud.users(tokens.unsigned(good, algorithm)))


@pytest.mark.parametrize(
    "form",
    [serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1],
    ids=str,
)
def test_the_public_key_taken_for_a_secret_is_refused(
    provider: Provider, cloud: Cloud, good: str, form: serialization.PublicFormat
) -> None:
    public = provider.keys.main.public_key().public_bytes(serialization.Encoding.PEM, form)

    assert_refused(cloud.users(tokens.signed_with_secret(good, public)))


@pytest.mark.parametrize("key_id", ["first-rsa", "first-ec", "foreign-rsa", None])
def test_a_foreign_key_is_refused_whatever_it_calls_itself(
    cloud: Cloud, good: str, key_id: str | None
) -> None:
    headers = {} if key_id is None else {"kid": key_id}
    token = jwt.encode(tokens.claims_of(good), FOREIGN.main, "RS256", headers)

    assert_refused(cloud.users(token))


def test_a_key_that_the_token_brings_along_is_not_used(cloud: Cloud, good: str) -> None:
    brought = FOREIGN.published()[0]
    headers = {"kid": "first-rsa", "jwk": brought, "jku": "https://another.example/jwks"}
    token = jwt.encode(tokens.claims_of(good), FOREIGN.main, "RS256", headers)

    assert_refused(cloud.users(token))


@pytest.mark.parametrize("change", [{"role": "admin"}, {"tenant_id": "t2"}, {"exp": 9_999_999_999}])
def test_an_edited_token_is_refused(cloud: Cloud, good: str, change: dict[str, Any]) -> None:
    assert_refused(cloud.users(tokens.edited(good, **change)))
