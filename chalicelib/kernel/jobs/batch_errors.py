"""The errors of a batch: one compressed row for each member that has any.

Table `kernel`:  batch-errors#<id>#<job>  Errors
"""

import itertools
import zlib

import msgspec
from pynamodb.attributes import BinaryAttribute
from pynamodb.expressions.update import Action

from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.registry import Context, ErrorView, Result
from chalicelib.kernel.store import batch_update
from chalicelib.kernel.store.batch_update import ConditionalUpdate
from chalicelib.kernel.store.records import KernelRecord

_PREFIX = "batch-errors#"
_MAX_DETAIL_LENGTH = 500  #: characters
_MAX_BYTES = 350_000  #: compressed; an item in DynamoDB may have 400 KB


class Errors(KernelRecord):
    """Row with the errors of one member. It has no time of expiry until its batch has settled."""

    errors = BinaryAttribute(legacy_encoding=False)


def row(tenant_id: str, batch_id: str, part: str, errors: tuple[ErrorView, ...]) -> Errors:
    """The row of `part`: a member's id, or 0 for what failed before anything was queued."""
    return Errors(tenant_id, f"{_PREFIX}{batch_id}#{part}", errors=_packed(errors))


def of_member(job: Job, status: str, reason: str | None, result: Result) -> tuple[ErrorView, ...]:
    """The errors that a member's end leaves, its own failure last."""
    errors = [ErrorView(error.detail, line=error.line) for error in result.errors]
    if status == "failed":
        errors.append(ErrorView(reason or "failed", job_id=job.id))
    return tuple(errors)


def of_batch(tenant_id: str, batch_id: str) -> list[ErrorView]:
    """All errors so far, in the order of lines."""
    errors = [
        error
        for row in Errors.query(tenant_id, Errors.sk.startswith(f"{_PREFIX}{batch_id}#"))
        for error in msgspec.json.decode(zlib.decompress(row.errors), type=list[ErrorView])
    ]
    return sorted(errors, key=lambda error: (error.line or 0, error.job_id or ""))


def expire(tenant_id: str, batch_id: str, at: int, context: Context) -> None:
    """Sets the time of expiry of all the batch's rows; safe to repeat and to break off."""
    actions: list[Action] = [Errors.expires_at.set(at)]
    has_none = Errors.expires_at.does_not_exist()
    rows = Errors.query(
        tenant_id,
        Errors.sk.startswith(f"{_PREFIX}{batch_id}#"),
        has_none,
        attributes_to_get=["tenant", "sk"],
        consistent_read=True,
    )
    while some := list(itertools.islice(rows, batch_update.MAX_STATEMENTS)):
        context.check_time()
        updates = [ConditionalUpdate(row, actions, has_none) for row in some]
        for update, made in zip(updates, batch_update.execute(updates), strict=True):
            if made is None:
                batch_update.execute_alone(update)


def _packed(errors: tuple[ErrorView, ...]) -> bytes:
    """The errors, compressed. Details are shortened until the row fits, and no error is dropped.

    A row that is too large could not be saved, and its member would never end.
    """
    packed, length = b"", _MAX_DETAIL_LENGTH
    while length and (not packed or len(packed) > _MAX_BYTES):
        cut = [msgspec.structs.replace(error, detail=error.detail[:length]) for error in errors]
        packed, length = zlib.compress(msgspec.json.encode(cut)), length // 5
    return packed
