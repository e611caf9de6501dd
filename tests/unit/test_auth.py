"""Which published keys are used, and what claims say about a caller."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from msgspec.structs import replace

from chalicelib.kernel.auth import tokens
from chalicelib.kernel.auth.tokens import IssuerUnavailable, Keys, TokenRefused

RSA = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 2048).public_key()))
EC = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
CLAIMS = {"sub": "ann", "role": "manager", "tenant_id": "t1"}
NOWHERE = "http://127.0.0.1:9/jwks"  # the port of `discard`, where nobody listens


def usable(*keys: Any) -> set[str | None]:
    return set(tokens.usable_keys(json.dumps({"keys": keys}).encode()))


def test_keys_of_both_kinds_are_used_whatever_they_leave_out() -> None:
    assert usable({**RSA, "kid": "1", "use": "sig", "alg": "RS256"}, {**EC, "kid": "2"}) == {
        "1",
        "2",
    }
    assert usable(RSA) == {None}


@pytest.mark.parametrize(
    "odd",
    [
        {**RSA, "kid": "odd", "use": "enc"},
        {**RSA, "kid": "odd", "use": "enc", "alg": "RSA-OAEP"},
        {**RSA, "kid": "odd", "alg": "RSA-OAEP-256"},
        {**RSA, "kid": ["odd"]},
        {**EC, "kid": "odd", "crv": "P-0"},
        {**EC, "kid": "odd", "x": "AA"},
        {"kty": "RSA", "kid": "odd"},
        {"kty": "RSA", "kid": "odd", "n": "!", "e": "?"},
        {"kty": "oct", "kid": "odd", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "PQC", "kid": "odd", "alg": "ML-DSA-65"},
        {"kid": "odd"},
        {},
        "odd",
        None,
    ],
    ids=[  # their own text differs with each process
        "for encryption",
        "for encryption, with its algorithm",
        "of an algorithm for encryption",
        "with a list for an id",
        "on an unknown curve",
        "with a point that is none",
        "without numbers",
        "with numbers that are none",
        "a published secret",
        "of an unknown type",
        "without a type",
        "empty",
        "a text",
        "null",
    ],
)
def test_an_odd_key_is_passed_over_and_the_others_are_used(odd: Any) -> None:
    assert usable(odd, {**RSA, "kid": "good"}) == {"good"}


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"[]", b"null", b'{"keys": []}', b'{"keys": 7}', b"\xff", b"<html>"]
)
def test_a_document_without_usable_keys_is_an_error(document: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  of any wording
        tokens.usable_keys(document)


def test_keys_that_cannot_be_read_are_no_refusal_of_the_token() -> None:
    with pytest.raises(IssuerUnavailable):
        Keys(NOWHERE).find("any")


@pytest.fixture
def keys() -> Keys:
    """Keys that were read once, of an issuer that is down now."""
    known = Keys(NOWHERE)
    known._keys = tokens.usable_keys(json.dumps({"keys": [{**RSA, "kid": "1"}]}).encode())
    return known


def test_known_keys_stay_in_use_while_the_issuer_is_down(keys: Keys) -> None:
    assert keys.find("1").key_id == "1"
    with pytest.raises(TokenRefused):
        keys.find("2")
    assert keys.find("1").key_id == "1"


def test_a_token_without_a_key_id_is_checked_with_the_only_key(keys: Keys) -> None:
    assert keys.find(None).key_id == "1"

    keys._keys["2"] = jwt.PyJWK({**EC, "kid": "2"})
    with pytest.raises(TokenRefused):
        keys.find(None)


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        ("manager", "manager"),
        (["manager"], "manager"),
        (["x", "staff"], "staff"),
        (["customer", "admin", "staff"], "admin"),
    ],
    ids=str,
)
def test_a_role_is_one_word_or_the_strongest_of_a_list(claim: Any, role: str) -> None:
    assert tokens.caller_of({**CLAIMS, "role": claim}).role == role


@pytest.mark.parametrize(
    "claim", ["", "root", "Manager", "admin manager", [], [["admin"]], {"admin": True}, None, 1]
)
def test_whatever_else_stands_there_is_no_role(claim: Any) -> None:
    with pytest.raises(TokenRefused):
        tokens.caller_of({**CLAIMS, "role": claim})


def test_claims_may_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    named = replace(
        tokens.settings,
        role_claim="https://example.com/roles",
        tenant_claim="https://example.com/tenant",
    )
    monkeypatch.setattr(tokens, "settings", named)
    claims = {
        **CLAIMS,
        "role": "admin",
        "https://example.com/roles": ["staff"],
        "https://example.com/tenant": "t2",
    }

    caller = tokens.caller_of(claims)

    assert (caller.role, caller.tenant_id) == ("staff", "t2")


@pytest.mark.parametrize(
    ("verified", "email"),
    [(True, "a@example.com"), ("true", "a@example.com"), (False, ""), ("false", ""), (None, "")],
)
def test_only_a_verified_email_address_counts(verified: Any, email: str) -> None:
    claims = {**CLAIMS, "email": "a@example.com", "email_verified": verified}

    assert tokens.caller_of(claims).email == email
