"""Access tokens as Amazon Cognito writes them: `client_id` and no `aud`, roles as groups.

https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.peers import cloud as clouds
from tests.peers.cloud import Cloud
from tests.peers.oidc import issuer as issuers
from tests.peers.oidc.issuer import Issuer

CLIENT_ID = "57cbishk4j24pabc1234567890"
ACCESS = {
    "client_id": CLIENT_ID,
    "token_use": "access",
    "scope": "openid api",
    "username": "ann",
    "cognito:groups": ["manager"],
    "custom:tenant_id": "t1",
    "version": 2,
}
ODD_KEYS: list[dict[str, Any]] = [
    {"kty": "RSA", "kid": "broken", "n": "", "e": ""},
    {"kty": "PQC", "kid": "of-tomorrow", "alg": "ML-DSA-65", "pub": "AAAA"},
    {"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"},
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuers.running(*ODD_KEYS) as started:
        yield started


@pytest.fixture(scope="module")
def cloud(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    trust = {
        "ISSUER": issuer.url,
        "JWKS_URL": issuer.jwks_url,
        "AUDIENCE": CLIENT_ID,
        "AUDIENCE_CLAIM": "client_id",
        "ROLE_CLAIM": "cognito:groups",
        "TENANT_CLAIM": "custom:tenant_id",
    }
    with clouds.running(tmp_path_factory.mktemp("cloud") / "log", **trust) as started:
        yield started


def test_an_access_token_is_taken(issuer: Issuer, cloud: Cloud) -> None:
    assert cloud.users(issuer.token(**ACCESS)).status_code == 200


@pytest.mark.parametrize(
    ("groups", "status"),
    [
        (["eu-central-1_Example_Google", "manager"], 200),
        (["customer", "manager"], 200),
        (["staff"], 403),
        (["customer", "staff"], 403),
        (["Manager", "managers"], 401),
        ([], 401),
        (None, 401),
    ],
    ids=str,
)
def test_the_strongest_group_that_is_a_role_counts(
    issuer: Issuer, cloud: Cloud, groups: list[str] | None, status: int
) -> None:
    token = issuer.token(**{**ACCESS, "cognito:groups": groups})

    assert cloud.users(token).status_code == status


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "another"},
        {"client_id": None},
        {"client_id": None, "aud": CLIENT_ID, "token_use": "id"},
    ],
    ids=["another client's", "without a client", "an ID token"],
)
def test_a_token_not_made_for_this_client_is_refused(
    issuer: Issuer, cloud: Cloud, changes: dict[str, Any]
) -> None:
    assert cloud.users(issuer.token(**{**ACCESS, **changes})).status_code == 401


def test_a_token_without_a_tenant_reaches_no_tenants_records(issuer: Issuer, cloud: Cloud) -> None:
    token = issuer.token(**{**ACCESS, "custom:tenant_id": None})

    assert cloud.users(token).status_code == 403
