"""Signed values: they open only as they were sealed, and keys rotate."""

import base64
import hmac
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.kernel import keyring, signing
from chalicelib.kernel.errors import Unavailable


@pytest.fixture(autouse=True)
def _one_key() -> Iterator[None]:
    use_keys("first-key")
    yield
    keyring.use()


def use_keys(keys: str) -> None:
    keyring.use(lambda: keys)


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_sealed_opens_and_is_safe_in_an_address(payload: bytes) -> None:
    text = signing.seal("link", payload)

    assert signing.open_seal("link", text) == payload
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=63))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_changed_letter_closes_it(place: int, shift: int) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = signing.seal("link", b"a payload of 32 bytes, so no pad")
    at = place % len(text)
    changed = letters[(letters.index(text[at]) + shift) % 64]

    assert signing.open_seal("link", text[:at] + changed + text[at + 1 :]) is None


@pytest.mark.parametrize("text", ["", "a", "abc", "ä" * 30, "!" * 40, "A" * 22, "A" * 400, "=" * 4])
def test_what_was_not_sealed_here_does_not_open(text: str) -> None:
    assert signing.open_seal("link", text) is None


def test_a_part_of_it_does_not_open() -> None:
    text = signing.seal("link", b"payload")

    assert not any(signing.open_seal("link", text[:end]) for end in range(len(text)))


def test_one_purpose_does_not_open_another() -> None:
    assert signing.open_seal("cursor", signing.seal("link", b"payload")) is None


def test_purpose_and_payload_do_not_run_into_each_other() -> None:
    assert signing.open_seal("lin", signing.seal("link", b"payload")) is None
    assert signing.seal("a", b"b\0c") != signing.seal("a\0b", b"c")


def test_of_several_keys_the_first_signs_and_all_open() -> None:
    old = signing.seal("link", b"payload")

    use_keys("second-key, first-key")
    new = signing.seal("link", b"payload")
    assert new != old
    assert signing.open_seal("link", old) == signing.open_seal("link", new) == b"payload"

    use_keys("second-key")
    assert signing.open_seal("link", old) is None
    assert signing.open_seal("link", new) == b"payload"


@pytest.mark.parametrize("seconds_old", [60, 6000])
def test_a_release_that_knows_no_rotation_opens_what_is_sealed_and_the_other_way_round(
    seconds_old: int,
) -> None:
    """The release before splits the same value at its commas, and signs with the first part."""
    value = f"{int(time.time()) - seconds_old}:new,old"
    use_keys(value)
    sealed = base64.urlsafe_b64decode(signing.seal("link", b"payload") + "=")

    before = [
        hmac.digest(key.encode(), b"link\0payload", "sha256")[:16] + b"payload"
        for key in value.split(",")
    ]
    assert sealed == before[seconds_old < 600]
    for raw in before:
        text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        assert signing.open_seal("link", text) == b"payload"


def test_without_a_key_nothing_is_signed_and_nothing_opens_for_now() -> None:
    text = signing.seal("link", b"payload")
    use_keys(" , ")

    for ask in (signing.check_keys, lambda: signing.seal("link", b"payload")):
        with pytest.raises(Unavailable):
            ask()
    with pytest.raises(Unavailable):
        signing.open_seal("link", text)
