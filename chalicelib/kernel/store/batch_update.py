"""Conditional updates of several records in one call, independent of one another.

BatchExecuteStatement costs what the single UpdateItems cost, failed conditions included, and each
update succeeds or fails by itself; only round trips are saved. The statements are derived from the
actions and conditions of an UpdateItem, in the forms that AWS documents:
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

MAX_STATEMENTS = 25  #: DynamoDB's limit for one call
_PAUSE_SECONDS = 60  #: without shared calls, after one that failed or met a lasting error
#: Errors of one statement that similar statements will probably meet too.
_LASTING = frozenset({"AccessDenied", "ResourceNotFound", "ValidationError"})

_paused_until = 0  #: epoch seconds until which no shared call is made

Item = dict[str, Any]


class ConditionalUpdate(msgspec.Struct, frozen=True):
    """An update that sets or removes attributes of a record, on a condition without OR."""

    record: Keyed
    actions: list[Action]
    condition: Condition


def execute_alone(update: ConditionalUpdate) -> bool:
    """Makes the update by an UpdateItem of its own; False when the condition did not hold."""
    return update.record.change_if(update.condition, update.actions)


def execute(updates: Sequence[ConditionalUpdate], *, read: bool = False) -> list[Item | None]:
    """Makes `updates`, at most `MAX_STATEMENTS` and of different records, in one call.

    Returns DynamoDB's item for each update that is known to be made: with `read` the record as it
    is now, without it an empty one. Returns None for every other update: its condition did not
    hold, it was throttled or forbidden, or the answer was lost. The caller repeats those updates
    alone and gets their own answer or error. So an update that is made twice must do no harm: its
    condition no longer holds, or it sets the same values.

    Raises ValueError for actions or a condition that have no form in PartiQL, nothing else.
    """
    global _paused_until  # noqa: PLW0603  one per process
    none_made: list[Item | None] = [None] * len(updates)
    if clock.epoch_seconds() < _paused_until:
        return none_made
    statements = _statements(updates, read=read)
    try:
        answers = aws.client("dynamodb").batch_execute_statement(Statements=statements)["Responses"]
        codes = {answer["Error"]["Code"] for answer in answers if "Error" in answer}
        trouble = ", ".join(codes & _LASTING)
    except Exception as error:  # noqa: BLE001  an emulator without PartiQL may raise anything
        answers, trouble = [], f"{type(error).__name__}: {error}"[:500]
    if trouble:
        _paused_until = clock.epoch_seconds() + _PAUSE_SECONDS
        telemetry.log.warning("records are updated one by one for a minute", why=trouble)
    if len(answers) != len(updates):
        return none_made
    return [None if "Error" in answer else answer.get("Item", {}) for answer in answers]


def forget() -> None:
    """Ends a pause at once, because the local cloud begins anew."""
    global _paused_until  # noqa: PLW0603  one per process
    _paused_until = 0


def _statements(updates: Sequence[ConditionalUpdate], *, read: bool) -> list[dict[str, Any]]:
    """The updates as PartiQL; shared actions and conditions are translated only once."""
    returning, translated = " RETURNING ALL NEW *" if read else "", dict[tuple[int, int], Any]()
    statements = []
    for update in updates:
        key = id(update.actions), id(update.condition)
        if key not in translated:
            translated[key] = _to_partiql(update.actions), _to_partiql([update.condition])
        (actions, new_values), (condition, compared_values) = translated[key]
        record = update.record
        text = (
            f'UPDATE "{record.Meta.table_name}" {actions}'
            f' WHERE "tenant" = ? AND "sk" = ? AND {condition}{returning}'
        )
        parameters = [*new_values, {"S": record.tenant}, {"S": record.sk}, *compared_values]
        statements.append({"Statement": text, "Parameters": parameters})
    return statements


def _to_partiql(parts: Sequence[Action | Condition]) -> tuple[str, list[Any]]:
    """The parts as PartiQL, and the values of its question marks."""
    parameters: list[Any] = []
    return " ".join(_translate(part, parameters) for part in parts), parameters


#: The PartiQL form of each part of an action or condition. OR is missing, because it would need
#: parentheses, which some emulators refuse beside a key.
_FORMS: dict[type, str] = {
    SetAction: "SET {0} = {1}",
    RemoveAction: "REMOVE {0}",
    type(Path("any") + 1): "{0} + {1}",  # pynamodb has no public name for these two types
    type(Path("any") - 1): "{0} - {1}",
    And: "{0} AND {1}",
    Comparison: "{0} {operator} {1}",
    NotExists: "{0} IS MISSING",
}


def _translate(part: Any, parameters: list[Any]) -> str:
    """The part as PartiQL; its values are appended to `parameters` in the order they occur."""
    if isinstance(part, Path):
        (name,) = part.path
        return f'"{name}"'
    if isinstance(part, Value):
        parameters.append(part.value)
        return "?"
    if type(part) not in _FORMS:
        raise ValueError(f"{part} has no form in PartiQL here")
    operands = (_translate(value, parameters) for value in part.values)
    return _FORMS[type(part)].format(*operands, operator=getattr(part, "operator", ""))
