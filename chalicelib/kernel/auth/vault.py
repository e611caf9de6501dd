"""Secrets at rest: envelope encryption with one data key for each tenant.

KMS makes a data key and encrypts it under the stage's key; the encrypted one lies in a row of the
tenant, the plain one only in this process. So a secret costs no call of KMS, no instance can read
any without KMS's leave, and what KMS's log says of a data key says whose it is.

AES-256-GCM (NIST SP 800-38D) with a random nonce; tenant and purpose are its associated data, so
that a sealed secret opens nowhere but in its own place.
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
_FORM = b"\x01"  #: first byte of what is sealed under the first data key of a tenant
_NONCE_BYTES = 12
_ROW = "datakey#1"
_KEEP_SECONDS = 300  #: a key taken from us in KMS opens nothing after this


class Unsealable(Exception):
    """What was stored is not a secret of this tenant and purpose, or was changed."""


class DataKey(KernelRecord):
    """Row of a tenant's data key: keys (tenant, "datakey#1")."""

    encrypted = BinaryAttribute(legacy_encoding=False)
    created_at = UnicodeAttribute()


def seal(tenant_id: str, purpose: str, secret: str) -> bytes:
    """The secret encrypted; `purpose` names the place it is for, such as `credential#<id>`."""
    nonce, bound = os.urandom(_NONCE_BYTES), _bound(tenant_id, purpose)
    sealed: bytes = _ciphers.get(tenant_id).encrypt(nonce, secret.encode(), bound)
    return _FORM + nonce + sealed


def unseal(tenant_id: str, purpose: str, sealed: bytes) -> str:
    """The secret that was sealed for this tenant and purpose; raises Unsealable."""
    from cryptography.exceptions import InvalidTag

    start = len(_FORM) + _NONCE_BYTES
    if sealed[: len(_FORM)] != _FORM:
        raise Unsealable("not in a form known here")
    try:
        plain: bytes = _ciphers.get(tenant_id).decrypt(
            sealed[len(_FORM) : start], sealed[start:], _bound(tenant_id, purpose)
        )
    except (InvalidTag, ValueError) as error:
        raise Unsealable(f"not sealed for this {purpose.partition('#')[0]}") from error
    return plain.decode()


def _bound(tenant_id: str, purpose: str) -> bytes:
    return f"{tenant_id}\0{purpose}".encode()


def _load_cipher(tenant_id: str) -> Any:
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
    """A new data key, or the one that another instance stored meanwhile."""
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
