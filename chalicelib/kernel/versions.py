"""Records with a version: a change counts only on the record as it was read."""

from typing import Any

from pynamodb.expressions.condition import Condition

from chalicelib.kernel.errors import AppError, Conflict, PreconditionFailed


def as_read(record: Any, version: int | None, name: str) -> tuple[Condition, AppError]:
    """The condition that the record has not changed since, and the error to raise where it has.

    `version` is the one that the client's If-Match names; None: the client did not say. A version
    that is not the record's is left to the commit to refuse, where a request that is repeated under
    its key finds its answer. `name` is what a person calls such a record.
    """
    unchanged = type(record).version == int(record.version)
    if version is None:
        return unchanged, Conflict("Another change came between; try again")
    stale = PreconditionFailed(f"The {name} was changed meanwhile; read it again")
    return unchanged & (type(record).version == version), stale
