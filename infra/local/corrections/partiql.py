"""BatchExecuteStatement: UPDATE statements with several actions and with conditions.

moto's PartiQL fails on several SETs and on arithmetic, and reports success where a condition does
not hold. Here a statement is translated into an update expression and a condition, which moto's
UpdateItem executes. Statements of other kinds are left to moto.

This is stricter than AWS. It understands the form that the application writes: keywords in capitals
with single spaces, names in double quotes, `?` for every value, one attribute per SET and REMOVE,
conditions joined by AND, RETURNING ALL NEW *. The error for anything else names the place where the
text stops being understood. Callers hold the lock of dynamodb.py.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.update.html
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

from infra.local.corrections.transactions import TransactionConflict
from infra.local.patching import replace_all

MAX_STATEMENTS = 25  #: in one call

Answer = dict[str, Any]

_NAME = r'"[^"]+"'
_ACTION = rf"(?:SET {_NAME} = (?:{_NAME} [+-] )?\?|REMOVE {_NAME})"
_CONDITION = rf"{_NAME} (?:(?:=|<>|<=?|>=?) \?|IS (?:NOT )?MISSING)"
#: A match ends where a statement stops being understood.
_UPDATE = re.compile(
    rf"UPDATE ({_NAME})(?:((?: {_ACTION})+)"
    rf"(?: WHERE ({_CONDITION}(?: AND {_CONDITION})*)( RETURNING ALL NEW \*)?)?)?"
)
_OTHERS = re.compile(r"\s*(SELECT|INSERT|DELETE)\b", re.IGNORECASE)
_CODES: dict[type, str] = {
    ConditionalCheckFailed: "ConditionalCheckFailed",
    ResourceNotFoundException: "ResourceNotFound",
    TransactionConflict: TransactionConflict.name,
}

_moto_batch: Callable[..., list[Answer]] = DynamoDBBackend.batch_execute_statement


class Statement(NamedTuple):
    table_name: str
    names: dict[str, str]  #: attributes by their placeholders #0, #1 and so on
    values: list[str]  #: the placeholders :0, :1 and so on
    actions: str
    condition: str
    returns_item: bool


class Update(NamedTuple):
    statement: Statement
    values: dict[str, Any]
    key: dict[str, Any]


def install() -> None:
    replace_all([(DynamoDBBackend, "batch_execute_statement", _batch_execute_statement)])


def _batch_execute_statement(
    backend: DynamoDBBackend, statements: list[dict[str, Any]]
) -> list[Answer]:
    """Executes the statements in order; one that fails does not affect the others."""
    if not 1 <= len(statements) <= MAX_STATEMENTS:
        raise MockValidationException(f"There must be between 1 and {MAX_STATEMENTS} statements")
    if any(_OTHERS.match(request["Statement"]) for request in statements):
        return _moto_batch(backend, statements)
    updates = [_update(backend, request) for request in statements]
    items = [
        (update.statement.table_name, *map(DynamoType, update.key.values()))
        for update in updates
        if isinstance(update, Update)
    ]
    if len(set(items)) < len(items):
        raise MockValidationException("Provided list of item keys contains duplicates")
    return [_answer(backend, update) for update in updates]


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
        key = {name: values[_key_value(statement, name)] for name in names}
        return Update(statement, values, key)
    except (DynamodbException, ResourceNotFoundException) as error:
        return error


def _key_value(statement: Statement, key_name: str) -> str:
    """The placeholder of a key attribute, which must appear in one equality and nowhere else."""
    comparisons = re.findall(r"(#\d+)(?: = (:\d+))?", statement.condition)
    values = [value for name, value in comparisons if statement.names[name] == key_name]
    if len(values) != 1 or not values[0]:
        raise MockValidationException(
            "Where clause does not contain a mandatory equality on all key attributes"
        )
    return str(values[0])


@lru_cache(maxsize=1024)
def _read(text: str) -> Statement:
    form = _UPDATE.match(text)
    end = form.end() if form else 0
    if not form or not form[3] or end < len(text):
        raise MockValidationException(
            "Statement wasn't well formed, can't be processed: "
            f"not understood from here: {text[end:].strip() or 'its end'}"
        )
    numbers, placeholders = count(), dict[str, str]()

    def placeholder(match: re.Match[str]) -> str:
        if match[0] == "?":
            return f":{next(numbers)}"
        return placeholders.setdefault(match[0].strip('"'), f"#{len(placeholders)}")

    actions, conditions = (re.sub(rf"{_NAME}|\?", placeholder, form[part]) for part in (2, 3))
    return Statement(
        table_name=form[1].strip('"'),
        names={placeholder: name for name, placeholder in placeholders.items()},
        values=[f":{number}" for number in range(next(numbers))],
        actions=_actions(actions),
        condition=_condition(conditions),
        returns_item=form[4] is not None,
    )


def _actions(clauses: str) -> str:
    parts = {kind: re.findall(rf"{kind} ([^A-Z]+\d)", clauses) for kind in ("SET", "REMOVE")}
    return " ".join(f"{kind} {', '.join(each)}" for kind, each in parts.items() if each)


def _condition(conditions: str) -> str:
    present = re.sub(r"(#\d+) IS NOT MISSING", r"attribute_exists(\1)", conditions)
    return re.sub(r"(#\d+) IS MISSING", r"attribute_not_exists(\1)", present)


def _answer(backend: DynamoDBBackend, update: Update | JsonRESTError) -> Answer:
    if isinstance(update, JsonRESTError):
        return _refusal(update)
    statement, values, key = update
    answer: Answer = {"TableName": statement.table_name}
    try:
        # The condition includes the key, so that no item is created.
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
    return answer | ({"Item": item.to_json()["Attributes"]} if statement.returns_item else {})


def _refusal(error: JsonRESTError) -> Answer:
    return {"Error": {"Code": _CODES.get(type(error), "ValidationError"), "Message": error.message}}
