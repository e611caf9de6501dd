"""BatchExecuteStatement of UPDATE statements as AWS does it.

moto's own PartiQL breaks on several SETs, arithmetic, and conditions beside the key. Here a
statement becomes an update expression and a condition, and moto's UpdateItem makes it: what actions
and conditions do stays moto's, and so do statements of other kinds.

This is stricter than AWS. Understood is what the application writes: keywords in capitals with one
space between words, names in double quotes, a `?` for each value, one attribute to each SET and
REMOVE, conditions joined by AND, RETURNING ALL NEW *. Anything else is an error that says where it
begins. Callers hold the lock of DynamoDB.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

from moto.core.exceptions import JsonRESTError
from moto.dynamodb.exceptions import (
    ConditionalCheckFailed,
    DynamodbException,
    MockValidationException,
    ResourceNotFoundException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType

MOST = 25  #: statements in one call

Answer = dict[str, Any]

_NAME = r'"[^"]+"'
_ACTION = rf"(?:SET {_NAME} = (?:{_NAME} [+-] )?\?|REMOVE {_NAME})"
_CONDITION = rf"{_NAME} (?:(?:=|<>|<=?|>=?) \?|IS (?:NOT )?MISSING)"
#: It ends where a statement is not understood any more.
_UPDATE = re.compile(
    rf"UPDATE ({_NAME})(?:((?: {_ACTION})+)"
    rf"(?: WHERE ({_CONDITION}(?: AND {_CONDITION})*)( RETURNING ALL NEW \*)?)?)?"
)
_OTHERS = re.compile(r"\s*(SELECT|INSERT|DELETE)\b", re.IGNORECASE)
_CODES: dict[type, str] = {
    ConditionalCheckFailed: "ConditionalCheckFailed",
    ResourceNotFoundException: "ResourceNotFound",
}

_moto_batch: Callable[..., list[Answer]] = DynamoDBBackend.batch_execute_statement


class Statement(NamedTuple):
    table_name: str
    names: dict[str, str]  #: by #0, #1 and so on
    values: list[str]  #: :0, :1 and so on
    actions: str
    condition: str
    reads: bool


class Update(NamedTuple):
    statement: Statement
    values: dict[str, Any]
    key: dict[str, Any]


def install() -> None:
    name, replacement = "batch_execute_statement", _batch_execute_statement
    setattr(DynamoDBBackend, name, replacement)


def _batch_execute_statement(
    backend: DynamoDBBackend, statements: list[dict[str, Any]]
) -> list[Answer]:
    """Each for itself, in order: one that is refused or fails leaves the others as they are."""
    if not 1 <= len(statements) <= MOST:
        raise MockValidationException(f"There must be between 1 and {MOST} statements")
    if any(_OTHERS.match(each["Statement"]) for each in statements):
        return _moto_batch(backend, statements)
    updates = [_update(backend, each) for each in statements]
    items = [
        (each.statement.table_name, *map(DynamoType, each.key.values()))
        for each in updates
        if isinstance(each, Update)
    ]
    if len(set(items)) < len(items):
        raise MockValidationException("Provided list of item keys contains duplicates")
    return [_answer(backend, each) for each in updates]


def _update(backend: DynamoDBBackend, request: dict[str, Any]) -> Update | JsonRESTError:
    parameters = request.get("Parameters", ())
    try:
        if more := request.keys() - {"Statement", "Parameters"}:
            raise MockValidationException(f"Not understood: {', '.join(sorted(more))}")
        statement = _read(request["Statement"])
        if len(parameters) != len(statement.values):
            raise MockValidationException(
                "Number of parameters in request and statement don't match."
            )
        values = dict(zip(statement.values, parameters, strict=True))
        names = backend.get_table(statement.table_name).table_key_attrs
        return Update(statement, values, {name: values[_asked(statement, name)] for name in names})
    except (DynamodbException, ResourceNotFoundException) as error:
        return error


def _asked(statement: Statement, key_name: str) -> str:
    """The parameter that a part of the key is; nothing else may be asked of it."""
    asked = re.findall(r"(#\d+)(?: = (:\d+))?", statement.condition)
    found = [value for name, value in asked if statement.names[name] == key_name]
    if len(found) != 1 or not found[0]:
        raise MockValidationException(
            "Where clause does not contain a mandatory equality on all key attributes"
        )
    return str(found[0])


@lru_cache(maxsize=1024)
def _read(text: str) -> Statement:
    form = _UPDATE.match(text)
    end = form.end() if form else 0
    if not form or not form[3] or end < len(text):
        raise MockValidationException(
            "Statement wasn't well formed, can't be processed: "
            f"not understood from here: {text[end:].strip() or 'its end'}"
        )
    numbers, places = count(), dict[str, str]()

    def place(word: re.Match[str]) -> str:
        if word[0] == "?":
            return f":{next(numbers)}"
        return places.setdefault(word[0].strip('"'), f"#{len(places)}")

    actions, conditions = (re.sub(rf"{_NAME}|\?", place, form[part]) for part in (2, 3))
    return Statement(
        table_name=form[1].strip('"'),
        names={place: name for name, place in places.items()},
        values=[f":{number}" for number in range(next(numbers))],
        actions=_actions(actions),
        condition=_condition(conditions),
        reads=form[4] is not None,
    )


def _actions(clauses: str) -> str:
    parts = {kind: re.findall(rf"{kind} ([^A-Z]+\d)", clauses) for kind in ("SET", "REMOVE")}
    return " ".join(f"{kind} {', '.join(found)}" for kind, found in parts.items() if found)


def _condition(conditions: str) -> str:
    present = re.sub(r"(#\d+) IS NOT MISSING", r"attribute_exists(\1)", conditions)
    return re.sub(r"(#\d+) IS MISSING", r"attribute_not_exists(\1)", present)


def _answer(backend: DynamoDBBackend, update: Update | JsonRESTError) -> Answer:
    if isinstance(update, JsonRESTError):
        return _refusal(update)
    statement, values, key = update
    answer: Answer = {"TableName": statement.table_name}
    try:
        # The key is asked for by the condition too, so that no item is created.
        item = backend.update_item(
            statement.table_name,
            key,
            update_expression=statement.actions,
            expression_attribute_names=statement.names,
            expression_attribute_values=values,
            condition_expression=statement.condition,
        )
    except DynamodbException as error:
        return answer | _refusal(error)
    return answer | ({"Item": item.to_json()["Attributes"]} if statement.reads else {})


def _refusal(error: JsonRESTError) -> Answer:
    return {"Error": {"Code": _CODES.get(type(error), "ValidationError"), "Message": error.message}}
