"""TransactWriteItems: all or nothing, whoever else is writing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import clock, faults
from infra.local.faults import Fault
from tests.emulator.conftest import TABLE

Item = dict[str, Any]
ABSENT = "attribute_not_exists(sk)"
BYSTANDERS = 15  #: threads that also write an item of their own


def key(sk: str) -> Item:
    return {"tenant": {"S": "t1"}, "sk": {"S": sk}}


def put(sk: str, condition: str | None = ABSENT, **attributes: Any) -> Item:
    action: Item = {"TableName": TABLE, "Item": key(sk) | attributes}
    return {"Put": action | ({"ConditionExpression": condition} if condition else {})}


def add(sk: str, amount: int = 1, attribute: str = "n") -> Item:
    return {
        "Update": {
            "TableName": TABLE,
            "Key": key(sk),
            "UpdateExpression": "ADD #n :n",
            "ExpressionAttributeNames": {"#n": attribute},
            "ExpressionAttributeValues": {":n": {"N": str(amount)}},
        }
    }


def read(dynamodb: Any, sk: str) -> Item | None:
    item: Item | None = dynamodb.get_item(TableName=TABLE, Key=key(sk)).get("Item")
    return item


def refusal(dynamodb: Any, items: list[Item], **more: Any) -> Item:
    with pytest.raises(ClientError) as caught:
        dynamodb.transact_write_items(TransactItems=items, **more)
    response: Item = caught.value.response
    return response


@pytest.mark.parametrize("attempt", range(20))
def test_of_50_racing_threads_one_wins_and_no_acknowledged_write_is_lost(
    dynamodb: Any, attempt: int
) -> None:
    if attempt % 2:
        faults.add(Fault("dynamodb", kind="conflicts"))
    together = threading.Barrier(50)

    def race(n: int) -> bool:
        together.wait()
        if n < BYSTANDERS:
            dynamodb.put_item(TableName=TABLE, Item=key(f"own#{n}"))
        try:
            order = [put("guard"), put(f"order#{n}"), add("sum")]
            dynamodb.transact_write_items(TransactItems=order)
        except dynamodb.exceptions.TransactionCanceledException:
            return False
        return True

    with ThreadPoolExecutor(50) as pool:
        winners = [n for n, won in enumerate(pool.map(race, range(50))) if won]
    assert len(winners) == 1
    items = dynamodb.query(
        TableName=TABLE,
        KeyConditionExpression="tenant = :t",
        ExpressionAttributeValues={":t": {"S": "t1"}},
    )["Items"]
    names = {item["sk"]["S"] for item in items}
    assert names == {f"own#{n}" for n in range(BYSTANDERS)} | {
        "guard",
        "sum",
        f"order#{winners[0]}",
    }
    assert read(dynamodb, "sum") == key("sum") | {"n": {"N": "1"}}


def test_reasons_stand_in_the_order_of_the_actions_with_the_item_where_asked(dynamodb: Any) -> None:
    dynamodb.put_item(TableName=TABLE, Item=key("taken") | {"by": {"S": "ann"}})
    taken = put("taken")
    taken["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    response = refusal(dynamodb, [put("a"), taken, put("taken2", "attribute_exists(sk)")])
    assert response["Error"]["Code"] == "TransactionCanceledException"
    message = response["Error"]["Message"]
    assert message.endswith("[None, ConditionalCheckFailed, ConditionalCheckFailed]")
    none, with_item, without = response["CancellationReasons"]
    assert none == {"Code": "None"}
    assert with_item["Code"] == "ConditionalCheckFailed"
    assert with_item["Item"] == key("taken") | {"by": {"S": "ann"}}
    assert "Item" not in without
    assert read(dynamodb, "a") is None


def test_conditions_see_the_state_before_the_transaction(dynamodb: Any) -> None:
    check = {"TableName": TABLE, "Key": key("b"), "ConditionExpression": ABSENT}
    dynamodb.transact_write_items(TransactItems=[put("a"), {"ConditionCheck": check}])
    assert read(dynamodb, "a") == key("a")
    refusal(dynamodb, [put("c"), {"ConditionCheck": check | {"Key": key("a")}}])
    assert read(dynamodb, "c") is None


def test_a_write_that_fails_half_way_leaves_everything_as_it_was(dynamodb: Any) -> None:
    dynamodb.put_item(TableName=TABLE, Item=key("old") | {"n": {"N": "1"}})
    dynamodb.put_item(TableName=TABLE, Item=key("gone"))
    dynamodb.put_item(TableName=TABLE, Item=key("text") | {"n": {"S": "no number"}})
    delete = {"Delete": {"TableName": TABLE, "Key": key("gone")}}
    response = refusal(dynamodb, [add("old"), put("new"), delete, add("fresh"), add("text")])
    codes = [reason["Code"] for reason in response["CancellationReasons"]]
    assert codes == ["None", "None", "None", "None", "ValidationError"]
    assert read(dynamodb, "old") == key("old") | {"n": {"N": "1"}}
    assert read(dynamodb, "new") is None
    assert read(dynamodb, "gone") == key("gone")
    assert read(dynamodb, "fresh") is None


def test_a_repeated_token_is_a_success_that_does_nothing_for_ten_minutes(dynamodb: Any) -> None:
    def send(amount: int = 1) -> None:
        dynamodb.transact_write_items(TransactItems=[add("sum", amount)], ClientRequestToken="once")

    send()
    send()
    assert read(dynamodb, "sum") == key("sum") | {"n": {"N": "1"}}
    response = refusal(dynamodb, [add("sum", 2)], ClientRequestToken="once")
    assert response["Error"]["Code"] == "IdempotentParameterMismatchException"
    clock.advance(601)
    send()
    assert read(dynamodb, "sum") == key("sum") | {"n": {"N": "2"}}


def test_a_cancelled_transaction_may_be_tried_again_with_its_token(dynamodb: Any) -> None:
    dynamodb.put_item(TableName=TABLE, Item=key("a"))
    refusal(dynamodb, [put("a")], ClientRequestToken="again")
    dynamodb.delete_item(TableName=TABLE, Key=key("a"))
    dynamodb.transact_write_items(TransactItems=[put("a")], ClientRequestToken="again")
    assert read(dynamodb, "a") == key("a")


def test_two_actions_on_one_item_are_refused(dynamodb: Any) -> None:
    response = refusal(dynamodb, [put("a"), add("a")])
    assert response["Error"]["Code"] == "ValidationException"
    assert read(dynamodb, "a") is None


def test_more_than_100_actions_are_refused(dynamodb: Any) -> None:
    response = refusal(dynamodb, [put(str(n)) for n in range(101)])
    assert response["Error"]["Code"] == "ValidationException"
    dynamodb.transact_write_items(TransactItems=[put(str(n)) for n in range(100)])


def test_more_than_4_mb_are_refused(dynamodb: Any) -> None:
    big = {"S": "x" * 399_000}
    response = refusal(dynamodb, [put(str(n), text=big) for n in range(11)])
    assert response["Error"]["Code"] == "ValidationException"
    dynamodb.transact_write_items(TransactItems=[put(str(n), text=big) for n in range(10)])


def test_a_26th_write_in_a_batch_is_refused(dynamodb: Any) -> None:
    writes = [{"PutRequest": {"Item": key(str(n))}} for n in range(26)]
    with pytest.raises(ClientError, match="ValidationException"):
        dynamodb.batch_write_item(RequestItems={TABLE: writes})


def test_of_concurrent_conditional_updates_exactly_one_wins(dynamodb: Any) -> None:
    dynamodb.put_item(TableName=TABLE, Item=key("job") | {"state": {"S": "queued"}})

    def claim(n: int) -> bool:
        try:
            dynamodb.update_item(
                TableName=TABLE,
                Key=key("job"),
                UpdateExpression="SET #s = :r, worker = :w",
                ConditionExpression="#s = :q",
                ExpressionAttributeNames={"#s": "state"},
                ExpressionAttributeValues={
                    ":r": {"S": "running"},
                    ":q": {"S": "queued"},
                    ":w": {"N": str(n)},
                },
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        winners = [n for n, won in enumerate(pool.map(claim, range(20))) if won]
    assert len(winners) == 1
    job = read(dynamodb, "job")
    assert job is not None
    assert job["worker"] == {"N": str(winners[0])}


def test_concurrent_counters_add_up(dynamodb: Any) -> None:
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: dynamodb.update_item(**add("sum")["Update"]), range(40)))
    assert read(dynamodb, "sum") == key("sum") | {"n": {"N": "40"}}


def test_an_update_that_fails_half_way_changes_nothing(dynamodb: Any) -> None:
    dynamodb.put_item(TableName=TABLE, Item=key("a") | {"n": {"S": "no number"}})
    for sk in ("a", "absent"):
        with pytest.raises(ClientError, match="ValidationException"):
            dynamodb.update_item(
                TableName=TABLE,
                Key=key(sk),
                UpdateExpression="SET #s = :s, other = absent + :one ADD n :one",
                ExpressionAttributeNames={"#s": "state"},
                ExpressionAttributeValues={":s": {"S": "x"}, ":one": {"N": "1"}},
            )
    assert read(dynamodb, "a") == key("a") | {"n": {"S": "no number"}}
    assert read(dynamodb, "absent") is None
