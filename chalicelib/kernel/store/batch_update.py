"""Conditional changes of several records in one call, each for itself: BatchExecuteStatement.

They cost what they cost one by one, a condition that does not hold included, and each is made or
not without regard to the others; what is spared are the calls. Statements are written from the very
actions and conditions that UpdateItem takes, in the forms that AWS documents:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.update.html
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from pynamodb.expressions.condition import And, Comparison, Condition, NotExists
from pynamodb.expressions.operand import Path, Value
from pynamodb.expressions.update import Action, RemoveAction, SetAction

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.store.records import Keyed

MOST = 25  #: changes in one call
_PAUSE_SECONDS = 60  #: without such calls after one that did not come to what it should
#: Errors of a statement that others like it will probably meet too.
_LASTING = frozenset({"AccessDenied", "ResourceNotFound", "ValidationError"})

_paused_until = 0  #: epoch seconds

Item = dict[str, Any]


class Change(msgspec.Struct, frozen=True):
    """A change of a record that is there: attributes set or removed, on a condition without OR."""

    record: Keyed
    actions: list[Action]
    condition: Condition


def make(changes: Sequence[Change], *, read: bool = False) -> list[Item | None]:
    """Makes at most `MOST` changes of different records in one call.

    An item for each that is known to be made, with `read` the record as it is now, else empty.
    None for any other: its condition did not hold, it was throttled, forbidden, nobody knows.
    Raises nothing: who gets None makes that change alone, with its own answer or error. So the
    changes must be such as can be made twice.
    """
    global _paused_until  # noqa: PLW0603  one per process
    nothing: list[Item | None] = [None] * len(changes)
    if clock.epoch_seconds() < _paused_until:
        return nothing
    try:
        statements = _statements(changes, read=read)
        answers = aws.client("dynamodb").batch_execute_statement(Statements=statements)["Responses"]
        codes = {each["Error"]["Code"] for each in answers if "Error" in each}
        trouble = ", ".join(codes & _LASTING)
    except Exception as error:  # noqa: BLE001  an emulator without it: whatever it may raise
        answers, trouble = [], f"{type(error).__name__}: {error}"[:500]
    if trouble:
        _paused_until = clock.epoch_seconds() + _PAUSE_SECONDS
        telemetry.log.warning("changes are made one by one for a minute", why=trouble)
    if len(answers) != len(changes):
        return nothing
    return [None if "Error" in each else each.get("Item", {}) for each in answers]


def forget() -> None:
    """Calls for several are made again at once: the emulator began anew."""
    global _paused_until  # noqa: PLW0603  one per process
    _paused_until = 0


def _statements(changes: Sequence[Change], *, read: bool) -> list[dict[str, Any]]:
    """Actions and conditions that several changes share are written once."""
    returned, written = " RETURNING ALL NEW *" if read else "", dict[tuple[int, int], Any]()
    statements = []
    for each in changes:
        shared = id(each.actions), id(each.condition)
        if shared not in written:
            written[shared] = _joined(each.actions), _joined([each.condition])
        (actions, set_to), (condition, compared_to) = written[shared]
        record = each.record
        text = (
            f'UPDATE "{record.Meta.table_name}" {actions}'
            f' WHERE "tenant" = ? AND "sk" = ? AND {condition}{returned}'
        )
        keys = [{"S": record.tenant}, {"S": record.sk}]
        statements.append({"Statement": text, "Parameters": [*set_to, *keys, *compared_to]})
    return statements


def _joined(parts: Sequence[Action | Condition]) -> tuple[str, list[Any]]:
    parameters: list[Any] = []
    return " ".join(_written(each, parameters) for each in parts), parameters


#: How the parts of actions and conditions are written. No OR: it would need brackets, which not
#: every emulator takes beside a key.
_FORMS: dict[type, str] = {
    SetAction: "SET {0} = {1}",
    RemoveAction: "REMOVE {0}",
    type(Path("attempts") + 1): "{0} + {1}",
    type(Path("attempts") - 1): "{0} - {1}",
    And: "{0} AND {1}",
    Comparison: "{0} {operator} {1}",
    NotExists: "{0} IS MISSING",
}


def _written(part: Any, parameters: list[Any]) -> str:
    """The part as PartiQL, its values added to `parameters` in the order of their places."""
    if isinstance(part, Path):
        (name,) = part.path
        return f'"{name}"'
    if isinstance(part, Value):
        parameters.append(part.value)
        return "?"
    if type(part) not in _FORMS:
        raise ValueError(f"no statement can be written of {part}")
    within = (_written(each, parameters) for each in part.values)
    return _FORMS[type(part)].format(*within, operator=getattr(part, "operator", ""))
