"""Records with a version: a change counts only on the version that was read (RFC 9110, 13.1.1).

A record in another version is left to the commit to refuse: there a request that is repeated under
its Idempotency-Key finds its stored answer.
"""

from collections.abc import Mapping
from typing import Any

from pynamodb.expressions.condition import Condition

from chalicelib.kernel.errors import AppError, Conflict, PreconditionFailed
from chalicelib.kernel.store.write_set import WriteSet

IfMatch = frozenset[int] | None  #: the versions that If-Match names; None: any
_NO_VERSION = 0  #: a version that no record has


def unchanged_since(record: Any, if_match: IfMatch, name: str) -> tuple[Condition, AppError]:
    """The condition that the record is still as it was read, and the error if it is not.

    `name` is what a client calls such a record. Whoever sent an If-Match that does not name the
    version that was read gets PreconditionFailed; whoever sent none gets Conflict.
    """
    version = int(record.version)
    if if_match is None:
        error: AppError = Conflict("Another change came between; try again")
    else:
        error = PreconditionFailed(f"The {name} was changed meanwhile; read it again")
        version = version if version in if_match else _NO_VERSION
    return type(record).version == version, error


def and_unchanged_since(
    record: Any, if_match: IfMatch, name: str, condition: Condition, error: AppError
) -> tuple[Condition, AppError]:
    """A change's own condition and error, joined with what the client's If-Match demands."""
    if if_match is None:
        return condition, error
    unchanged, changed = unchanged_since(record, if_match, name)
    return condition & unchanged, error if int(record.version) in if_match else changed


def apply(
    tx: WriteSet, record: Any, values: Mapping[str, Any], if_match: IfMatch, name: str
) -> None:
    """Adds new values of a versioned record to `tx`, and sets them on `record`; None removes one.

    The version rises by one. The commit raises PreconditionFailed when the record is in none of the
    versions of `if_match`, Conflict when another change came between.
    """
    unchanged, error = unchanged_since(record, if_match, name)
    new = {**values, "version": int(record.version) + 1}
    for attribute, value in new.items():
        setattr(record, attribute, value)
    paths = ((getattr(type(record), attribute), value) for attribute, value in new.items())
    actions = [path.remove() if value is None else path.set(value) for path, value in paths]
    tx.update(record, actions, unchanged, error)
