"""Idempotency-Key: the same request again gives the same answer, and one effect.

The answer is stored in the very transaction that makes the effect, so there is no window between
them, and it costs neither a call before nor one after: a repeated request fails on the condition
of its row and gets the stored answer out of that failure. One that is refused before it comes so
far, since things have changed meanwhile, looks its answer up. Errors store nothing. A row belongs
to one tenant, caller and key; expiry is a condition, since DynamoDB deletes days later.
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

    fingerprint = UnicodeAttribute()  #: of method, path, query and body
    status_code = Number()
    headers = UnicodeAttribute()  #: JSON
    body = BinaryAttribute(legacy_encoding=False)


class Repeated(AppError):
    """This Idempotency-Key was used before"""

    STATUS = 409
    PRIORITY = 0
    RETURNS_EXISTING = True

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is being carried out")
        self.stored: StoredAnswer | None = None

    def on_conflict(self, raw_item: dict[str, Any]) -> None:
        """Called with the row on which the condition failed."""
        self.stored = StoredAnswer.from_raw_data(raw_item)


class Key(msgspec.Struct, frozen=True):
    """Where an answer is stored, and what it was the answer to."""

    tenant_id: str
    row_key: str
    fingerprint: str


def key_of(request: Request, method: str, caller: Caller | None) -> Key | None:
    """The request's key; None without the header. Raises Invalid for one that is not printable."""
    sent = request.headers.get("idempotency-key")
    if sent is None:
        return None
    if not _PRINTABLE.match(sent):
        fault = FieldError("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
        raise Invalid("The Idempotency-Key cannot be taken", field_errors=(fault,))
    query = json.dumps(sorted(request.query.items()))
    fingerprint = _digest(method, request.path, query, request.body.hex())
    # Without a token callers cannot be told apart: then only the same request is the same caller.
    who = caller.subject if caller else fingerprint
    tenant_id = caller.tenant_id if caller and caller.tenant_id else _PLATFORM
    return Key(tenant_id, f"idem#{_digest(who, sent)}", fingerprint)


def store(transaction: Any, key: Key, answer: Response) -> None:
    """Adds the answer to the transaction whose effect it tells of.

    The commit then raises Repeated when this key has an answer that is not expired.
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


def earlier(key: Key) -> Repeated | None:
    """What was answered under this key within its time; None when nothing was."""
    stored = records.read(StoredAnswer, key.tenant_id, key.row_key, consistent=True)
    if stored is None:
        return None
    repeated = Repeated()
    repeated.stored = stored
    return repeated if stored.expires_at > clock.epoch_seconds() else None


def replay(repeated: Repeated, key: Key) -> Response:
    """The stored answer, byte for byte. Raises Invalid when the request was another one, Conflict
    when the first one is only just ending.
    """
    stored = repeated.stored
    if stored is None:
        raise Conflict(repeated.detail) from repeated
    if stored.fingerprint != key.fingerprint:
        fault = FieldError("Idempotency-Key", "was used before for another request")
        raise Invalid("Use a new Idempotency-Key for a new request", field_errors=(fault,))
    headers = {**json.loads(stored.headers), "Idempotent-Replayed": "true"}
    return Response(stored.body.decode(), headers, int(stored.status_code))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
