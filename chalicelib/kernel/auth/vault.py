"""Secrets at rest: envelope encryption with one data key for each tenant.

KMS makes the data key and encrypts it under the stage's key. A row of the tenant holds the
encrypted key; the plain one is only in memory. So a secret costs no KMS call of its own, no
instance can read a secret unless KMS allows it, and KMS's log names the tenant of each data key.

The cipher is AES-256-GCM (NIST SP 800-38D) with a random nonce. Tenant and purpose are its
associated data, so that a secret copied to another place cannot be opened there.
"""

import os
from typing import Any

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.cache import Cache
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import failures, records
from chalicelib.kernel.store.records import KernelRecord

PLATFORM = "#platform"  #: the tenant of secrets that belong to no tenant
_FORM = b"\x01"  #: the first byte of secrets sealed under a tenant's first data key
_NONCE_BYTES = 12
_ROW = "datakey#1"
_KEEP_SECONDS = 300  #: after this a key that was disabled in KMS opens nothing more


class Unsealable(Exception):
    """The stored bytes are no secret of this tenant and purpose, or were changed."""


class DataKey(KernelRecord):
    """Row of a tenant's data key: keys (tenant, "datakey#1")."""

    encrypted = BinaryAttribute(legacy_encoding=False)
    created_at = UnicodeAttribute()


def seal(tenant_id: str, purpose: str, secret: str) -> bytes:
    """The secret, encrypted; `purpose` names where it is stored, such as `credential#<id>`."""
    nonce, associated = os.urandom(_NONCE_BYTES), _associated_data(tenant_id, purpose)
    sealed: bytes = _ciphers.get(tenant_id).encrypt(nonce, secret.encode(), associated)
    return _FORM + nonce + sealed


def unseal(tenant_id: str, purpose: str, sealed: bytes) -> str:
    """The secret that was sealed for this tenant and purpose; raises Unsealable."""
    # Late: saves as much as `_load_cipher` does.
    from cryptography.exceptions import InvalidTag

    start = len(_FORM) + _NONCE_BYTES
    if sealed[: len(_FORM)] != _FORM:
        raise Unsealable("the form of the sealed secret is unknown")
    try:
        plain: bytes = _ciphers.get(tenant_id).decrypt(
            sealed[len(_FORM) : start], sealed[start:], _associated_data(tenant_id, purpose)
        )
    except (InvalidTag, ValueError) as error:
        raise Unsealable(f"not sealed for this {purpose.partition('#')[0]}") from error
    return plain.decode()


def _associated_data(tenant_id: str, purpose: str) -> bytes:
    return f"{tenant_id}\0{purpose}".encode()


def _load_cipher(tenant_id: str) -> Any:
    # Late: saves whatever loads this module and opens no secret the loading of cryptography.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    with telemetry.configuration():
        return AESGCM(_read(tenant_id) or _make(tenant_id))


_ciphers = Cache(_load_cipher, keep_seconds=lambda: _KEEP_SECONDS)


def _read(tenant_id: str) -> bytes | None:
    row = records.read(DataKey, tenant_id, _ROW, consistent=True)
    if row is None:
        return None
    answer = aws.client("kms").decrypt(
        CiphertextBlob=row.encrypted, KeyId=_alias(), EncryptionContext=_context(tenant_id)
    )
    return bytes(answer["Plaintext"])


def _make(tenant_id: str) -> bytes:
    """A new data key that is stored first, or the one that another instance stored meanwhile."""
    answer = aws.client("kms").generate_data_key(
        KeyId=_alias(), KeySpec="AES_256", EncryptionContext=_context(tenant_id)
    )
    row = DataKey(
        tenant_id, _ROW, encrypted=answer["CiphertextBlob"], created_at=clock.iso(clock.now())
    )
    try:
        row.save(DataKey.sk.does_not_exist())
    except PutError as error:
        stored = _read(tenant_id) if failures.condition_failed(error) else None
        if stored is None:
            raise
        return stored
    return bytes(answer["Plaintext"])


def _alias() -> str:
    return f"alias/{settings.resource('data')}"


def _context(tenant_id: str) -> dict[str, str]:
    return {"tenant": tenant_id}
