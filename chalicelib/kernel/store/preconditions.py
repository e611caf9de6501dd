"""Records with a version: a change counts only on the record as it was read."""

from typing import Any

from pynamodb.expressions.condition import Condition

from chalicelib.kernel.errors import AppError, Conflict, PreconditionFailed

Wanted = frozenset[int] | None  #: the versions that If-Match names; None: the client did not say
_NONE = 0  #: a version that no record has


def as_read(record: Any, wanted: Wanted, name: str) -> tuple[Condition, AppError]:
    """The condition that the record has not changed since, and the error to raise where it has.

    A record in another version is left to the commit to refuse, where a request that is repeated
    under its key finds its answer. `name` is what a person calls such a record.
    """
    version = int(record.version)
    if wanted is None:
        otherwise: AppError = Conflict("Another change came between; try again")
    else:
        otherwise = PreconditionFailed(f"The {name} was changed meanwhile; read it again")
        version = version if version in wanted else _NONE
    return type(record).version == version, otherwise


def also_as_read(
    record: Any, wanted: Wanted, name: str, condition: Condition, otherwise: AppError
) -> tuple[Condition, AppError]:
    """A change's own condition and error, and with them what the client's If-Match asks for."""
    if wanted is None:
        return condition, otherwise
    unchanged, changed = as_read(record, wanted, name)
    return condition & unchanged, otherwise if int(record.version) in wanted else changed
