"""The provider's keys are fetched when they change, and seldom otherwise."""

import threading
import time
from pathlib import Path

import jwt

from chalicelib.kernel.auth.tokens import REFETCH_SECONDS
from tests.peers import cloud as clouds
from tests.peers.cloud import Cloud
from tests.peers.oidc import provider as providers
from tests.peers.oidc import tokens
from tests.peers.oidc.provider import Keys, Provider

FLOOD = 200
THREADS = 8


def test_many_requests_with_known_keys_cost_one_fetch(provider: Provider, cloud: Cloud) -> None:
    token = provider.client_token("importer")
    assert cloud.users(token).status_code == 200
    before = provider.key_requests

    assert {cloud.users(provider.client_token("elliptic")).status_code for _ in range(20)} == {200}

    assert provider.key_requests == before <= 1


def test_a_flood_of_unknown_key_ids_costs_few_fetches(provider: Provider, cloud: Cloud) -> None:
    claims = tokens.claims_of(provider.client_token("importer"))
    flood = [
        jwt.encode(claims, provider.keys.main, "RS256", {"kid": f"unknown-{number}"})
        for number in range(FLOOD)
    ]
    before, started = provider.key_requests, time.monotonic()
    refused: list[int] = []

    def send(share: list[str]) -> None:
        refused.extend(cloud.users(token).status_code for token in share)

    threads = [threading.Thread(target=send, args=[flood[n::THREADS]]) for n in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    seconds = time.monotonic() - started
    assert refused == [401] * FLOOD
    assert provider.key_requests - before <= 1 + seconds / REFETCH_SECONDS
    assert cloud.users(provider.client_token("importer")).status_code == 200


def test_new_keys_of_the_provider_are_found_and_old_ones_forgotten(tmp_path: Path) -> None:
    with providers.running(Keys("old"), tmp_path / "old") as before:
        trust = {
            "ISSUER": before.issuer,
            "AUDIENCE": providers.AUDIENCE,
            "JWKS_URL": before.jwks_url,
        }
        old = [before.client_token("importer") for _ in range(3)]
        with clouds.running(tmp_path / "cloud", **trust) as cloud:
            assert cloud.users(old[0]).status_code == 200
            _rotate(before, cloud, old, tmp_path)


def _rotate(before: Provider, cloud: Cloud, old: list[str], tmp_path: Path) -> None:
    before.stop()
    assert cloud.users(old[1]).status_code == 200, "a provider that is down takes no key away"

    with providers.running(Keys("new"), tmp_path / "new", before.port) as after:
        new = after.client_token("importer")
        tokens.eventually(
            "the new key", lambda: cloud.users(new).status_code == 200, REFETCH_SECONDS + 5
        )
        assert cloud.users(old[2]).status_code == 401
        assert after.key_requests == 1
