"""Secrets at rest: under data keys of their tenant and use, opened only in their own place."""

from collections.abc import Iterator

import pytest

from chalicelib.kernel import cache, telemetry
from chalicelib.kernel.auth import vault
from chalicelib.kernel.auth.vault import Label, Unsealable
from chalicelib.kernel.store import failures
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests import settings
from tests.functional import aws
from tests.functional.http.store_calls import just_before
from tests.functional.secrets.labels import credential, password

SECRET = "s3cret of a user"
KEY_ROW = "datakey#credential"
BOTH = [credential(), password()]


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


@pytest.mark.parametrize("label", BOTH, ids=lambda label: label.use.name)
def test_a_secret_comes_back_as_it_was(label: Label) -> None:
    for secret in (SECRET, "", "Ünïcödé 🚀", "x" * 100_000):
        assert vault.unseal(label, vault.seal(label, secret)) == secret


def test_nothing_stored_shows_the_secret_or_the_plain_key() -> None:
    sealed = vault.seal(credential(), SECRET)

    assert SECRET.encode() not in sealed
    row = aws.rows("kernel")[KEY_ROW]
    assert set(row) == {"tenant", "sk", "encrypted", "created_at"}
    assert vault.seal(credential(), SECRET) != sealed


OTHERS = {
    credential(): [
        credential(tenant="t2"),
        credential("credential#2"),
        credential("region#1"),
        credential("", vault.PLATFORM),
        password("", "credential#1", "t1"),
    ],
    password(): [
        password("https://thief.example:443"),
        password("http://cloud.example.com:5000"),
        password("https://cloud.example.com:5001"),
        password(""),
        password(name="region#openstack#other"),
        password(tenant="t1"),
        credential(password().name, vault.PLATFORM),
    ],
}
PAIRS = [(label, other) for label, others in OTHERS.items() for other in others]


@pytest.mark.parametrize(("label", "other"), PAIRS, ids=repr)
def test_a_secret_opens_for_no_other_label(label: Label, other: Label) -> None:
    sealed = vault.seal(label, SECRET)

    with pytest.raises(Unsealable):
        vault.unseal(other, sealed)


def test_parts_of_a_label_cannot_be_moved_into_each_other() -> None:
    sealed = vault.seal(password("b", "a"), SECRET)

    for name, host in (("ab", ""), ("", "ab"), ('a","b', ""), ("a\0b", "")):
        with pytest.raises(Unsealable):
            vault.unseal(password(host, name), sealed)


@pytest.mark.parametrize("label", BOTH, ids=lambda label: label.use.name)
def test_what_was_changed_does_not_open(label: Label) -> None:
    sealed = vault.seal(label, SECRET)
    key_ends = 3 + int.from_bytes(sealed[1:3], "big")
    for at in (0, 1, 2, *range(max(3, key_ends - 16), len(sealed))):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(Unsealable):
            vault.unseal(label, changed)
    for short in (b"", sealed[:1], sealed[:2], sealed[: key_ends + 12], sealed[:-1]):
        with pytest.raises(Unsealable):
            vault.unseal(label, short)


def test_each_tenant_has_one_data_key_of_a_use_however_many_secrets_it_has() -> None:
    for tenant in ("t1", "t2"):
        for number in range(20):
            vault.seal(credential(f"credential#{number}", tenant), SECRET)

    assert kms_calls() == {"kms.GenerateDataKey": 2}
    keys = [aws.rows("kernel", tenant)[KEY_ROW]["encrypted"] for tenant in ("t1", "t2")]
    assert keys[0] != keys[1]


def test_a_password_has_a_data_key_of_its_own_that_only_the_opener_asks_for() -> None:
    sealed = [vault.seal(password(), SECRET) for _ in range(3)]
    assert kms_calls() == {"kms.GenerateDataKey": 3}
    assert aws.rows("kernel", vault.PLATFORM) == {}

    faults.clear()
    for _ in range(5):
        assert {vault.unseal(password(), each) for each in sealed} == {SECRET}
    assert kms_calls() == {"kms.Decrypt": 3}


def test_another_process_opens_it_with_one_call_of_kms() -> None:
    labels = [credential(f"credential#{number}") for number in range(20)]
    sealed = [vault.seal(label, SECRET) for label in labels]
    cache.forget_all()
    faults.clear()

    for label, each in zip(labels, sealed, strict=True):
        assert vault.unseal(label, each) == SECRET
    assert kms_calls() == {"kms.Decrypt": 1}


@pytest.mark.parametrize(
    ("moved", "form"), [({"tenant": {"S": "t2"}}, 2), ({"sk": {"S": "datakey#1"}}, 1)]
)
def test_a_data_key_is_bound_to_its_tenant_and_use_at_kms(
    moved: dict[str, dict[str, str]], form: int
) -> None:
    vault.seal(credential(), SECRET)
    row = {**aws.rows("kernel")[KEY_ROW], **moved}
    aws.put_rows("kernel", [row])
    cache.forget_all()

    with settings.changed(seal_form=form), pytest.raises(Exception, match="InvalidCiphertext"):
        vault.seal(credential(tenant=row["tenant"]["S"]), SECRET)


def test_processes_that_start_at_once_settle_on_one_key() -> None:
    """The other one's key is stored after this one found none, and before it stores its own."""
    of_the_other = vault.seal(credential(), SECRET)
    stored = aws.rows("kernel")[KEY_ROW]
    aws.delete_row("kernel", KEY_ROW)
    cache.forget_all()
    faults.clear()

    with just_before("PutItem", lambda: aws.put_rows("kernel", [stored])):
        sealed = vault.seal(credential("y"), SECRET)
    assert kms_calls() == {"kms.Decrypt": 1, "kms.GenerateDataKey": 1}
    assert aws.rows("kernel")[KEY_ROW] == stored

    cache.forget_all()
    assert vault.unseal(credential("y"), sealed) == SECRET
    assert vault.unseal(credential(), of_the_other) == SECRET


@pytest.mark.parametrize("label", BOTH, ids=lambda label: label.use.name)
def test_a_key_service_that_is_down_is_a_trouble_that_passes(label: Label) -> None:
    kept = vault.seal(label, SECRET)
    cache.forget_all()
    faults.add(Fault("kms", kind="refuse", times=None))
    for use in (lambda: vault.seal(label, SECRET), lambda: vault.unseal(label, kept)):
        with pytest.raises(Exception) as raised:  # noqa: PT011  whatever the SDK raises for it
            use()
        assert failures.is_transient(raised.value)

    faults.clear()
    assert vault.unseal(label, kept) == SECRET


def test_calls_for_data_keys_that_are_remembered_are_counted_as_configuration() -> None:
    with telemetry.measured() as meter:
        vault.seal(credential(), SECRET)
    assert meter.calls == []
    assert meter.conf_calls == 3  # the row is looked for, a key is made, the row is saved

    with telemetry.measured() as meter:
        vault.unseal(password(), vault.seal(password(), SECRET))
    assert meter.calls == ["kms.GenerateDataKey"]
    assert meter.conf_calls == 1
