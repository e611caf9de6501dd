"""A provider, and a local cloud that trusts it instead of its own issuer."""

from collections.abc import Iterator

import pytest

from tests.peers import cloud as clouds
from tests.peers.cloud import Cloud
from tests.peers.oidc import provider as providers
from tests.peers.oidc.provider import Keys, Provider


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with providers.running(Keys("first"), tmp_path_factory.mktemp("provider") / "log") as started:
        yield started


@pytest.fixture(scope="module")
def cloud(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    trust = {
        "ISSUER": provider.issuer,
        "AUDIENCE": providers.AUDIENCE,
        "JWKS_URL": provider.jwks_url,
        "TOKEN_LEEWAY_SECONDS": "0",
    }
    with clouds.running(tmp_path_factory.mktemp("cloud") / "log", **trust) as started:
        yield started
