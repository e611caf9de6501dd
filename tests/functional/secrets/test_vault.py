"""Secrets at rest: encrypted under a data key of their tenant, opened only in their own place."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.kernel import cache
from chalicelib.kernel.auth import vault
from chalicelib.kernel.auth.vault import Unsealable
from chalicelib.kernel.settings import settings
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.http.store_calls import just_before

SECRET = "s3cret of a user"


@pytest.fixture(autouse=True)
def _anew(cloud: LocalCloud) -> Iterator[None]:
    cache.forget_all()
    faults.clear()
    yield
    cache.forget_all()


def kms_calls() -> dict[str, int]:
    return {
        name: tries["through"] for name, tries in faults.counts().items() if name.startswith("kms")
    }


def test_a_secret_comes_back_as_it_was() -> None:
    for secret in (SECRET, "", "Ünïcödé 🚀", "x" * 100_000):
        assert (
            vault.unseal("t1", "credential#1", vault.seal("t1", "credential#1", secret)) == secret
        )


def test_nothing_stored_shows_the_secret_or_the_plain_key() -> None:
    sealed = vault.seal("t1", "credential#1", SECRET)

    assert SECRET.encode() not in sealed
    row = aws.rows("kernel")["datakey#1"]
    assert set(row) == {"tenant", "sk", "encrypted", "created_at"}
    assert vault.seal("t1", "credential#1", SECRET) != sealed


@pytest.mark.parametrize(
    ("tenant", "purpose"),
    [("t2", "credential#1"), ("t1", "credential#2"), ("t1", "region#1"), ("#platform", "")],
)
def test_a_secret_opens_for_no_other_tenant_or_purpose(tenant: str, purpose: str) -> None:
    sealed = vault.seal("t1", "credential#1", SECRET)

    with pytest.raises(Unsealable):
        vault.unseal(tenant, purpose, sealed)


def test_what_was_changed_does_not_open() -> None:
    sealed = vault.seal("t1", "credential#1", SECRET)
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(Unsealable):
            vault.unseal("t1", "credential#1", changed)
    for short in (b"", sealed[:1], sealed[:13], sealed[:-1]):
        with pytest.raises(Unsealable):
            vault.unseal("t1", "credential#1", short)


def test_each_tenant_has_one_data_key_however_many_secrets_it_has() -> None:
    for tenant in ("t1", "t2"):
        for number in range(20):
            vault.seal(tenant, f"credential#{number}", SECRET)

    assert kms_calls() == {"kms.GenerateDataKey": 2}
    keys = [aws.rows("kernel", tenant)["datakey#1"]["encrypted"] for tenant in ("t1", "t2")]
    assert keys[0] != keys[1]


def test_another_process_opens_it_with_one_call_of_kms() -> None:
    sealed = [vault.seal("t1", f"credential#{number}", SECRET) for number in range(20)]
    cache.forget_all()
    faults.clear()

    for number, each in enumerate(sealed):
        assert vault.unseal("t1", f"credential#{number}", each) == SECRET
    assert kms_calls() == {"kms.Decrypt": 1}


def test_a_data_key_is_bound_to_its_tenant_at_kms() -> None:
    vault.seal("t1", "x", SECRET)
    stolen = {**aws.rows("kernel")["datakey#1"], "tenant": {"S": "t2"}}
    aws.put_rows("kernel", [stolen])
    cache.forget_all()

    with pytest.raises(Exception, match="InvalidCiphertext"):
        vault.seal("t2", "x", SECRET)


def test_processes_that_start_at_once_settle_on_one_key() -> None:
    """The other one's key is stored after this one found none, and before it stores its own."""
    of_the_other = vault.seal("t1", "x", SECRET)
    stored = aws.rows("kernel")["datakey#1"]
    aws.delete_row("kernel", "datakey#1")
    cache.forget_all()
    faults.clear()

    with just_before("PutItem", lambda: aws.put_rows("kernel", [stored])):
        sealed = vault.seal("t1", "y", SECRET)
    assert kms_calls() == {"kms.Decrypt": 1, "kms.GenerateDataKey": 1}
    assert aws.rows("kernel")["datakey#1"] == stored

    cache.forget_all()
    assert vault.unseal("t1", "y", sealed) == SECRET
    assert vault.unseal("t1", "x", of_the_other) == SECRET


def test_a_key_service_that_is_down_is_a_trouble_that_passes() -> None:
    from chalicelib.kernel.store import failures

    faults.add(Fault("kms", kind="refuse", times=None))
    with pytest.raises(Exception) as raised:  # noqa: PT011  whatever the SDK raises for it
        vault.seal("t1", "x", SECRET)
    assert failures.is_transient(raised.value)

    faults.clear()
    assert vault.unseal("t1", "x", vault.seal("t1", "x", SECRET)) == SECRET


def test_calls_for_data_keys_are_counted_as_configuration() -> None:
    from chalicelib.kernel import telemetry

    with telemetry.measured() as meter:
        vault.seal("t1", "x", SECRET)

    assert meter.calls == []
    assert meter.conf_calls == 3  # the row is looked for, a key is made, the row is saved


def test_the_key_is_the_stages_own() -> None:
    found: Any = aws.client("kms").describe_key(KeyId=f"alias/{settings.resource('data')}")

    assert found["KeyMetadata"]["Enabled"]
