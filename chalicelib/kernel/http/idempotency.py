"""Idempotency-Key: the same request sent again gets the same answer and has no second effect.

The answer is stored in the transaction that makes the effect, so neither exists without the other,
and no further call is needed: a repeated request fails on the condition of the stored row, and the
failure hands over the row. A repeated request may be refused before its commit, since the records
have changed meanwhile; then the row is read. Errors are not stored. A row belongs to one tenant,
caller and key. Its expiry is part of the condition, since DynamoDB deletes expired rows days later.
(draft-ietf-httpapi-idempotency-key-header-07)
"""

import hashlib
import json
import re
from typing import Any

import msgspec
from chalice.app import Response
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute

from chalicelib.kernel import clock
from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.errors import AppError, Conflict, FieldError, Invalid
from chalicelib.kernel.http.routes import Request
from chalicelib.kernel.store import records
from chalicelib.kernel.store.records import KernelRecord, Number

KEEP_SECONDS = 86_400
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}\Z")
_PLATFORM = "#platform"  #: partition of callers without a tenant


class StoredAnswer(KernelRecord):
    """Row of an answer: keys (tenant, "idem#" + digest of caller and key)."""

    fingerprint = UnicodeAttribute()  #: digest of the method, path, query and body
    status_code = Number()
    headers = UnicodeAttribute()  #: JSON
    body = BinaryAttribute(legacy_encoding=False)


class Repeated(AppError):
    """This Idempotency-Key was used before"""

    STATUS = 409
    PRIORITY = 0
    RETURNS_EXISTING = True

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is under way; try again later")
        self.stored: StoredAnswer | None = None

    def on_conflict(self, raw_item: dict[str, Any]) -> None:
        """Keeps the row on which the condition failed."""
        self.stored = StoredAnswer.from_raw_data(raw_item)


class Key(msgspec.Struct, frozen=True):
    """Where an answer is stored, and the fingerprint of the request that it answers."""

    tenant_id: str
    row_key: str
    fingerprint: str


def key_of(request: Request, method: str, caller: Caller | None) -> Key | None:
    """The request's key; None without the header. Raises Invalid for one that is not printable."""
    sent = request.headers.get("idempotency-key")
    if sent is None:
        return None
    if not _PRINTABLE.match(sent):
        error = FieldError("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
        raise Invalid("This Idempotency-Key cannot be used; see errors", field_errors=(error,))
    query = json.dumps(sorted(request.query.items()))
    fingerprint = _digest(method, request.path, query, request.body.hex())
    # Callers without a token cannot be distinguished: the same request counts as the same caller.
    who = caller.subject if caller else fingerprint
    tenant_id = caller.tenant_id if caller and caller.tenant_id else _PLATFORM
    return Key(tenant_id, f"idem#{_digest(who, sent)}", fingerprint)


def store(transaction: Any, key: Key, answer: Response) -> None:
    """Adds the answer to the transaction that makes its effect.

    The commit then raises Repeated when this key has an answer that has not expired.
    """
    row = StoredAnswer(
        key.tenant_id,
        key.row_key,
        fingerprint=key.fingerprint,
        status_code=answer.status_code,
        headers=json.dumps(answer.headers),
        body=str(answer.body).encode(),
        expires_at=clock.epoch_seconds() + KEEP_SECONDS,
    )
    free = StoredAnswer.sk.does_not_exist() | (StoredAnswer.expires_at <= clock.epoch_seconds())
    transaction.save(row, free, Repeated())


def find_earlier(key: Key) -> Repeated | None:
    """The answer stored under this key, as a Repeated; None without one that has not expired."""
    stored = records.read(StoredAnswer, key.tenant_id, key.row_key, consistent=True)
    if stored is None:
        return None
    repeated = Repeated()
    repeated.stored = stored
    return repeated if stored.expires_at > clock.epoch_seconds() else None


def replay(repeated: Repeated, key: Key) -> Response:
    """The stored answer, byte for byte.

    Raises Invalid when the key was used for another request, Conflict while the first request is
    just being committed.
    """
    stored = repeated.stored
    if stored is None:
        raise Conflict(repeated.detail) from repeated
    if stored.fingerprint != key.fingerprint:
        error = FieldError("Idempotency-Key", "was used before for another request")
        raise Invalid("Use a new Idempotency-Key for a new request", field_errors=(error,))
    headers = {**json.loads(stored.headers), "Idempotent-Replayed": "true"}
    return Response(stored.body.decode(), headers, int(stored.status_code))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
