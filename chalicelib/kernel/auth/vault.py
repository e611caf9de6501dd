"""Secrets at rest: envelope encryption with data keys of one tenant and one use.

KMS makes a data key and encrypts it under the stage's key, with the tenant and the use as its
encryption context. So no function can read a secret unless its policy allows the use, and KMS's log
names tenant and use of each data key. Where the encrypted data key is kept depends on the use:

credential   in a row of the tenant: one key for all of them, so that none costs a call of KMS
gateway      with the secret, which has a key of its own: whoever seals need not be able to open

The cipher is AES-256-GCM (NIST SP 800-38D) with a random nonce. The whole label is associated data,
so that a secret copied to another place, or whose address was changed, cannot be opened there.

The first byte of a sealed secret is its form:

1   under the tenant's first data key, which is of no use; bound to tenant and name
2   as above: two bytes with the length of the data key that follows, the key, nonce and secret

Both are opened. `SEAL_FORM` says which is written, so that a stage can go back to a release that
opens form 1 only; `opened` brings what is stored in form 1 into form 2.
"""

import os
from typing import Any, NamedTuple

import msgspec
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError, PynamoDBException

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.cache import Cache
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import failures, records
from chalicelib.kernel.store.records import KernelRecord, Keyed

PLATFORM = "#platform"  #: the tenant of secrets that belong to no tenant
_FIRST, _SECOND = b"\x01", b"\x02"  #: forms
_LENGTH_BYTES = 2
_NONCE_BYTES = 12
_KEEP_SECONDS = 300  #: after this a key that was disabled in KMS opens nothing more
#: What KMS answers when a data key was made for another tenant or use, or was changed.
_NOT_OURS = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class Unsealable(Exception):
    """The stored bytes are no secret of this label, or were changed."""


class Use(msgspec.Struct, frozen=True):
    """A kind of secrets, for which functions have rights of their own."""

    name: str
    key_within: bool = False  #: True: each secret has a data key of its own, kept with it


CREDENTIAL = Use("credential")  #: participants' access to a provider
GATEWAY = Use("gateway", key_within=True)  #: regions' passwords


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What a secret is sealed for; it opens for the same label only."""

    tenant_id: str
    use: Use
    name: str  #: where it is stored, such as `credential#<id>`
    host: str = ""  #: where alone it may be sent, such as https://example.com:443


class _Owner(NamedTuple):
    """Whose a data key is; the first one of a tenant, for all secrets of form 1, has no use."""

    tenant_id: str
    use: str = ""

    @property
    def row(self) -> str:
        return f"datakey#{self.use or 1}"

    @property
    def context(self) -> dict[str, str]:
        return {"tenant": self.tenant_id} | ({"use": self.use} if self.use else {})


class DataKey(KernelRecord):
    """Row of a data key: keys (tenant, "datakey#<use>"), or "datakey#1" for the first one."""

    encrypted = BinaryAttribute(legacy_encoding=False)
    created_at = UnicodeAttribute()


def seal(label: Label, secret: str) -> bytes:
    """The secret, encrypted in the form that `SEAL_FORM` names."""
    if not _writes_second():
        cipher = _kept.get(_Owner(label.tenant_id))
        return _FIRST + _encrypt(cipher, secret, _first_data(label))
    owner, encrypted_key = _Owner(label.tenant_id, label.use.name), b""
    if label.use.key_within:
        key, encrypted_key = _generate(owner)
        cipher = _cipher(key)
    else:
        cipher = _kept.get(owner)
    head = _SECOND + len(encrypted_key).to_bytes(_LENGTH_BYTES, "big") + encrypted_key
    return head + _encrypt(cipher, secret, _second_data(label))


def unseal(label: Label, sealed: bytes) -> str:
    """The secret that was sealed for this label, in whichever form; raises Unsealable."""
    # Late: saves as much as `_cipher` does.
    from cryptography.exceptions import InvalidTag

    cipher, secret, associated = _parts(label, sealed)
    nonce, secret = secret[:_NONCE_BYTES], secret[_NONCE_BYTES:]
    try:
        plain: bytes = cipher.decrypt(nonce, secret, associated)
    except (InvalidTag, ValueError) as error:
        raise _not_for(label) from error
    return plain.decode()


def opened(label: Label, row: Keyed, attribute: BinaryAttribute) -> str:
    """The secret in an attribute of a row; raises Unsealable.

    One in form 1 is sealed anew in the row, unless the row has another one meanwhile. That this
    failed is only logged, since whoever reads the row next tries it again.
    """
    name = str(attribute.attr_name)
    sealed: bytes = getattr(row, name)
    secret = unseal(label, sealed)
    if sealed.startswith(_FIRST) and _writes_second():
        try:
            renewed = seal(label, secret)
            setattr(row, name, renewed)  # before the write: a row that is remembered tries once
            row.change_if(attribute == sealed, [attribute.set(renewed)])
        except (*aws.CALL_FAILED, PynamoDBException) as error:
            kind = type(error).__name__
            telemetry.log.warning("secret not sealed anew", use=label.use.name, error=kind)
    return secret


def _writes_second() -> bool:
    return settings.seal_form > 1


def _parts(label: Label, sealed: bytes) -> tuple[Any, bytes, bytes]:
    """The cipher, nonce and secret, and the associated data of a sealed secret."""
    form, rest = sealed[:1], sealed[1:]
    if form == _FIRST:
        return _kept.get(_Owner(label.tenant_id)), rest, _first_data(label)
    if form != _SECOND:
        raise Unsealable("the form of the sealed secret is unknown")
    end = _LENGTH_BYTES + int.from_bytes(rest[:_LENGTH_BYTES], "big")
    key, secret = rest[_LENGTH_BYTES:end], rest[end:]
    if bool(key) != label.use.key_within:
        raise _not_for(label)
    owner = _Owner(label.tenant_id, label.use.name)
    cipher = _within.get((owner, key)) if key else _kept.get(owner)
    return cipher, secret, _second_data(label)


def _first_data(label: Label) -> bytes:
    return f"{label.tenant_id}\0{label.name}".encode()


def _second_data(label: Label) -> bytes:
    return msgspec.json.encode((2, label.tenant_id, label.use.name, label.name, label.host))


def _not_for(label: Label) -> Unsealable:
    return Unsealable(f"not sealed for this {label.name.partition('#')[0]}")


def _encrypt(cipher: Any, secret: str, associated: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    encrypted: bytes = cipher.encrypt(nonce, secret.encode(), associated)
    return nonce + encrypted


# Data keys ---------------------------------------------------------------------------------------


def _cipher(key: bytes) -> Any:
    # Late: saves whatever loads this module and opens no secret the loading of cryptography.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _load_kept(owner: _Owner) -> Any:
    with telemetry.configuration():
        return _cipher(_read(owner) or _make(owner))


def _load_within(key: tuple[_Owner, bytes]) -> Any:
    owner, encrypted = key
    try:
        with telemetry.configuration():
            return _cipher(_decrypt(owner, encrypted))
    except aws.ServiceError as error:
        if aws.code_of(error) in _NOT_OURS:
            raise Unsealable("its data key is none of this tenant and use") from error
        raise


_kept = Cache(_load_kept, keep_seconds=lambda: _KEEP_SECONDS)
_within = Cache(_load_within, keep_seconds=lambda: _KEEP_SECONDS)


def _read(owner: _Owner) -> bytes | None:
    row = records.read(DataKey, owner.tenant_id, owner.row, consistent=True)
    return None if row is None else _decrypt(owner, row.encrypted)


def _make(owner: _Owner) -> bytes:
    """A new data key that is stored first, or the one that another instance stored meanwhile."""
    key, encrypted = _generate(owner)
    row = DataKey(
        owner.tenant_id, owner.row, encrypted=encrypted, created_at=clock.iso(clock.now())
    )
    try:
        row.save(DataKey.sk.does_not_exist())
    except PutError as error:
        stored = _read(owner) if failures.condition_failed(error) else None
        if stored is None:
            raise
        return stored
    return key


def _generate(owner: _Owner) -> tuple[bytes, bytes]:
    """A new data key: plain, and as KMS has encrypted it."""
    answer = aws.client("kms").generate_data_key(
        KeyId=_alias(), KeySpec="AES_256", EncryptionContext=owner.context
    )
    return bytes(answer["Plaintext"]), bytes(answer["CiphertextBlob"])


def _decrypt(owner: _Owner, encrypted: bytes) -> bytes:
    answer = aws.client("kms").decrypt(
        CiphertextBlob=encrypted, KeyId=_alias(), EncryptionContext=owner.context
    )
    return bytes(answer["Plaintext"])


def _alias() -> str:
    return f"alias/{settings.resource('data')}"
