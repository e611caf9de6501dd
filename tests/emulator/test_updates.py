"""Update expressions that DynamoDB refuses, and that the walk through them finds, however deep."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.conftest import TABLE

KEY = {"tenant": {"S": "t1"}, "sk": {"S": "a"}}
VALUES = {":one": {"N": "1"}, ":two": {"N": "2"}}


def update(dynamodb: Any, expression: str) -> dict[str, Any]:
    used = {name: value for name, value in VALUES.items() if name in expression}
    values = {"ExpressionAttributeValues": used} if used else {}
    dynamodb.update_item(TableName=TABLE, Key=KEY, UpdateExpression=expression, **values)
    item: dict[str, Any] = dynamodb.get_item(TableName=TABLE, Key=KEY).get("Item", {})
    return {name: value["N"] for name, value in item.items() if name not in KEY}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("SET a = :one SET b = :two", '"SET" section can only be used once'),
        ("SET a = :one REMOVE c ADD d :one SET b = :two", '"SET" section can only be used once'),
        ("REMOVE a REMOVE b", '"REMOVE" section can only be used once'),
        ("SET a = :one, b = :one, a = :two", "paths overlap"),
        ("SET a = :one REMOVE b, a", "paths overlap"),
        ("SET deep.b = :one REMOVE deep", "paths overlap"),
        ("SET a = :one, sk = :two", "part of the key"),
        ("SET b = nothing", "does not exist"),
        ("SET a = nothing + :one", "does not exist"),
    ],
)
def test_what_contradicts_itself_is_refused_and_changes_nothing(
    dynamodb: Any, expression: str, reason: str
) -> None:
    update(dynamodb, "SET n = :one")

    with pytest.raises(ClientError, match=reason):
        update(dynamodb, expression)
    assert update(dynamodb, "ADD n :one") == {"n": "2"}


def test_all_clauses_of_one_expression_take_effect(dynamodb: Any) -> None:
    update(dynamodb, "SET a = :one, b = :one, c = :one")

    assert update(
        dynamodb,
        "SET b = if_not_exists(b, :two) + :two, d = if_not_exists(d, :two) REMOVE a ADD c :two",
    ) == {"b": "3", "c": "3", "d": "2"}
