"""BatchExecuteStatement: several conditional updates in one call, independent of each other."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.expressions.update import Action

from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.store import batch_update
from chalicelib.kernel.store.batch_update import ConditionalUpdate
from tests.emulator.conftest import TABLE, client

Item = dict[str, Any]

NEW, NUMBER = {"S": "new"}, {"N": "5"}
OLD = {"state": {"S": "old"}, "n": {"N": "4"}, "note": {"S": "of old"}}
KEPT = "abc"  #: the items that there are
FAILED = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}


def key(sk: str) -> Item:
    return {"tenant": {"S": "t1"}, "sk": {"S": sk}}


def update(
    sk: str, actions: str = 'SET "state" = ?', *values: Item, where: str = "", **more: Any
) -> Item:
    """The values are those of the actions, of which there is NEW by itself; `where` takes 5s."""
    text = f'UPDATE "{TABLE}" {actions} WHERE "tenant" = ? AND "sk" = ?{where} RETURNING ALL NEW *'
    compared = [NUMBER] * where.count("?")
    parameters = [*(values or [NEW]), *key(sk).values(), *compared]
    return {"Statement": text, "Parameters": parameters} | more


def execute(dynamodb: Any, *statements: Item) -> list[Item]:
    answers: list[Item] = dynamodb.batch_execute_statement(Statements=list(statements))["Responses"]
    return answers


def state(dynamodb: Any, sk: str) -> str | None:
    item = read(dynamodb, sk)
    return item["state"]["S"] if item else None


def read(dynamodb: Any, sk: str) -> Item | None:
    item: Item | None = dynamodb.get_item(TableName=TABLE, Key=key(sk)).get("Item")
    return item


@pytest.fixture(autouse=True)
def _items(dynamodb: Any, _clean: None) -> None:
    for sk in KEPT:
        dynamodb.put_item(TableName=TABLE, Item=key(sk) | OLD)


def test_each_update_is_made_and_answered_with_the_item_as_it_is_then(dynamodb: Any) -> None:
    answers = execute(dynamodb, update("a"), update("b", 'SET "state" = ?', {"S": "other"}))

    items = [key("a") | OLD | {"state": NEW}, key("b") | OLD | {"state": {"S": "other"}}]
    assert answers == [{"TableName": TABLE, "Item": item} for item in items]
    assert [read(dynamodb, sk) for sk in "ab"] == items
    assert read(dynamodb, "c") == key("c") | OLD


def test_an_update_that_does_not_ask_for_the_item_is_answered_without_it(dynamodb: Any) -> None:
    silent = update("a")
    silent["Statement"] = silent["Statement"].removesuffix(" RETURNING ALL NEW *")

    assert execute(dynamodb, silent) == [{"TableName": TABLE}]
    assert state(dynamodb, "a") == "new"


def test_where_a_condition_does_not_hold_nothing_changes_and_the_others_are_made(
    dynamodb: Any,
) -> None:
    first, refused, last = execute(
        dynamodb, update("a"), update("b", where=' AND "n" = ?'), update("c")
    )

    assert refused == {"TableName": TABLE, "Error": FAILED}
    assert read(dynamodb, "b") == key("b") | OLD
    assert "Error" not in first | last
    assert [state(dynamodb, sk) for sk in "ac"] == ["new", "new"]


def test_an_item_that_is_not_there_is_not_made(dynamodb: Any) -> None:
    answers = execute(dynamodb, update("d"), update("e", where=' AND "n" IS MISSING'))

    assert answers == [{"TableName": TABLE, "Error": FAILED}] * 2
    assert [read(dynamodb, sk) for sk in "de"] == [None, None]


@pytest.mark.parametrize(
    ("condition", "becomes"),
    [
        ('"n" = ?', "old"),
        ('"n" <> ?', "new"),
        ('"n" < ?', "new"),
        ('"n" <= ?', "new"),
        ('"n" > ?', "old"),
        ('"n" >= ?', "old"),
        ('"n" IS MISSING', "old"),
        ('"n" IS NOT MISSING', "new"),
        ('"absent" IS MISSING', "new"),
        ('"absent" IS NOT MISSING', "old"),
        ('"absent" = ?', "old"),
        ('"absent" IS MISSING AND "n" < ? AND "n" <= ?', "new"),
        ('"absent" IS MISSING AND "n" < ? AND "n" > ?', "old"),
    ],
)
def test_a_condition_is_compared_with_the_item_as_it_was(
    dynamodb: Any, condition: str, becomes: str
) -> None:
    (answer,) = execute(dynamodb, update("a", where=f" AND {condition}"))

    assert ("Error" in answer) == (becomes == "old")
    assert state(dynamodb, "a") == becomes


def test_all_actions_of_a_statement_take_effect_in_whatever_order_they_stand(dynamodb: Any) -> None:
    actions = 'SET "state" = ? REMOVE "note" SET "n" = "n" + ? REMOVE "absent" SET "less" = "n" - ?'
    (answer,) = execute(dynamodb, update("a", actions, NEW, NUMBER, NUMBER))

    changed = {"state": NEW, "n": {"N": "9"}, "less": {"N": "-1"}}
    assert answer["Item"] == key("a") | changed
    assert read(dynamodb, "a") == key("a") | changed


def test_names_in_quotes_may_hold_what_is_a_word_of_the_language_elsewhere(dynamodb: Any) -> None:
    (answer,) = execute(dynamodb, update("a", 'SET "a WHERE ?" = ? SET "SET x.y" = ?', NEW, NUMBER))

    assert answer["Item"] == key("a") | OLD | {"a WHERE ?": NEW, "SET x.y": NUMBER}


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        ('SET "n" = "absent" + ?', "does not exist"),
        ('SET "n" = "note" + ?', "Incorrect operand type"),
        ('SET "sk" = ?', "part of the key"),
        ('SET "n" = ? REMOVE "n"', "paths overlap"),
    ],
)
def test_what_update_item_refuses_is_refused_for_its_statement_alone(
    dynamodb: Any, actions: str, reason: str
) -> None:
    refused, made = execute(dynamodb, update("a", actions, NUMBER), update("b"))

    assert refused["Error"]["Code"] == "ValidationError"
    assert reason in refused["Error"]["Message"]
    assert read(dynamodb, "a") == key("a") | OLD
    assert made["Item"]["state"] == NEW


KEYED = 'WHERE "tenant" = ? AND "sk" = ?'


@pytest.mark.parametrize(
    ("statement", "begins"),
    [
        ("Please change something", "Please change"),
        ('update "things" SET "n" = ?', 'update "things"'),
        (f'UPDATE things SET "n" = ? {KEYED}', "UPDATE things"),
        (f'UPDATE "things" {KEYED}', "WHERE"),
        (f'UPDATE "things" SET n = ? {KEYED}', "SET n"),
        (f'UPDATE "things" SET "n" = 4 {KEYED}', 'SET "n" = 4'),
        (f'UPDATE "things" SET "n" = ?, "m" = ? {KEYED}', ', "m"'),
        (f'UPDATE "things" SET "n" = ? ADD "m" ? {KEYED}', "ADD"),
        ('UPDATE "things" SET "n" = ?', "its end"),
        (f'UPDATE "things" SET "n" = ? {KEYED} OR "n" = ?', "OR"),
        (f'UPDATE "things" SET "n" = ? {KEYED} AND "n" BETWEEN ? AND ?', 'AND "n" BETWEEN'),
        (f'UPDATE "things" SET "n" = ? {KEYED} RETURNING ALL OLD *', "RETURNING ALL OLD"),
        (f'UPDATE "things" SET "n" = ? {KEYED}; DELETE', "; DELETE"),
    ],
)
def test_what_is_not_understood_is_an_error_that_says_where_it_begins(
    dynamodb: Any, statement: str, begins: str
) -> None:
    odd = {"Statement": statement, "Parameters": [NUMBER, *key("a").values()]}
    refused, made = execute(dynamodb, odd, update("b"))

    assert refused["Error"]["Code"] == "ValidationError"
    assert f"not understood from here: {begins}" in refused["Error"]["Message"]
    assert read(dynamodb, "a") == key("a") | OLD
    assert made["Item"]["state"] == NEW


@pytest.mark.parametrize("parameters", [[NEW], [NEW, *key("a").values(), NEW]])
def test_each_question_mark_has_its_parameter(dynamodb: Any, parameters: list[Item]) -> None:
    (refused,) = execute(dynamodb, update("a") | {"Parameters": parameters})

    assert refused["Error"]["Code"] == "ValidationError"
    assert "Number of parameters" in refused["Error"]["Message"]
    assert state(dynamodb, "a") == "old"


@pytest.mark.parametrize(
    "condition",
    ['"tenant" = ?', '"sk" = ?', '"tenant" = ? AND "sk" >= ?', f'{KEYED[6:]} AND "sk" <> ?'],
)
def test_the_key_is_given_in_full_and_once(dynamodb: Any, condition: str) -> None:
    parameters = [NEW, *key("a").values(), NUMBER][: condition.count("?") + 1]
    statement = f'UPDATE "{TABLE}" SET "state" = ? WHERE {condition}'
    (refused,) = execute(dynamodb, {"Statement": statement, "Parameters": parameters})

    assert refused["Error"]["Code"] == "ValidationError"
    assert "all key attributes" in refused["Error"]["Message"]
    assert state(dynamodb, "a") == "old"


def test_an_option_that_is_not_kept_here_is_refused(dynamodb: Any) -> None:
    (refused,) = execute(dynamodb, update("a", ReturnValuesOnConditionCheckFailure="ALL_OLD"))

    assert refused["Error"]["Code"] == "ValidationError"
    assert state(dynamodb, "a") == "old"


def test_a_table_that_there_is_not_is_an_error_of_its_statement(dynamodb: Any) -> None:
    lost = update("a")
    lost["Statement"] = lost["Statement"].replace(TABLE, "nothing")
    refused, made = execute(dynamodb, lost, update("b"))

    assert refused["Error"]["Code"] == "ResourceNotFound"
    assert made["Item"]["state"] == NEW


def test_a_call_takes_between_1_and_25_statements(dynamodb: Any) -> None:
    unchecked = client("dynamodb", parameter_validation=False)
    for statements in ([], [update(f"d{n}") for n in range(26)]):
        with pytest.raises(ClientError, match="ValidationException"):
            execute(unchecked, *statements)
    assert len(execute(dynamodb, *(update(f"d{n}") for n in range(25)))) == 25


def test_two_statements_about_one_item_are_refused_and_nothing_is_made(dynamodb: Any) -> None:
    with pytest.raises(ClientError, match=r"ValidationException.* duplicates"):
        execute(dynamodb, update("b"), update("a"), update("a", 'SET "n" = ?', NUMBER))
    assert [state(dynamodb, sk) for sk in KEPT] == ["old"] * 3


def test_a_call_of_reads_stays_motos(dynamodb: Any) -> None:
    text = f"SELECT * FROM {TABLE} WHERE tenant = 't1' AND sk = 'a'"

    assert execute(dynamodb, {"Statement": text})[0]["Item"] == key("a") | OLD


class Row(Job):
    """A job's row in the table of these tests."""

    class Meta:
        table_name = TABLE


def row(sk: str, **attributes: Any) -> Row:
    usual: Item = {
        "type": "people.invitation",
        "queue": "notify",
        "status": "queued",
        "max_attempts": 5,
    }
    return Row("t1", sk, created_at="2026-01-01T00:00:00Z", **usual | attributes)


def test_a_change_of_the_application_does_what_its_update_item_does(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_update, "_paused_until", 0)
    before = {"attempts": 2, "claim_token": "t", "due_at": 7, "due_shard": "3", "last_error": "é"}
    for sk in ("together", "alone"):
        row(sk, **before).save()
    row("claimed", **before | {"lease_until": 4}).save()
    actions: list[Action] = [
        Row.status.set("running"),
        Row.due_at.set(1_800_000_000),
        Row.attempts.set(Row.attempts + 1),
        Row.deferrals.set(Row.deferrals - 1),
        Row.history.set([{"at": "now", "attempt": 1, "outcome": "retry", "detail": 'of "é"'}]),
        Row.due_shard.remove(),
        Row.not_after.remove(),
    ]
    condition = (Row.claim_token == "t") & Row.lease_until.does_not_exist() & (Row.attempts <= 2)
    rows = [Row("t1", sk) for sk in ("together", "claimed", "absent")]

    made, refused, absent = batch_update.execute(
        [ConditionalUpdate(r, actions, condition) for r in rows], read=True
    )
    Row("t1", "alone").update(actions, condition)

    alone = read(dynamodb, "alone")
    assert alone is not None
    assert made == read(dynamodb, "together") == alone | key("together")
    assert (refused, absent) == (None, None)
    assert Row.get("t1", "claimed").status == "queued"
    assert read(dynamodb, "absent") is None
    assert batch_update._paused_until == 0
