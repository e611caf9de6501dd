"""The fault `conflicts`: who meets a transaction is refused as on AWS, and only who meets one."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models import dynamodb_backends

from infra.local import conflicts, emulator, faults
from infra.local.corrections import dynamodb as correction
from infra.local.faults import Fault
from infra.local.hooks import transaction_conflicts
from tests.emulator.conftest import TABLE, client
from tests.emulator.test_statements import update
from tests.emulator.test_transactions import Item, add, key, put, read, refusal

RACERS = 50
MESSAGE = "Transaction is ongoing for the item"


@pytest.fixture(autouse=True)
def _conflicts(_clean: None) -> None:
    faults.add(Fault("dynamodb", kind="conflicts"))


@contextmanager
def held(*sks: str) -> Iterator[None]:
    """Meanwhile a transaction of another thread holds these items."""
    backend = dynamodb_backends[emulator.ACCOUNT_ID][emulator.REGION]
    body = {"TransactItems": [add(sk) for sk in sks]}
    keys = transaction_conflicts.keys_of(backend, "TransactWriteItems", body)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(conflicts.hold, keys).result()
    try:
        yield
    finally:
        with correction.lock:
            conflicts.release(keys)


def check(sk: str) -> Item:
    return {
        "ConditionCheck": {
            "TableName": TABLE,
            "Key": key(sk),
            "ConditionExpression": "attribute_not_exists(sk)",
        }
    }


def codes(response: Item) -> list[str]:
    return [reason["Code"] for reason in response["CancellationReasons"]]


def test_of_50_transactions_at_once_on_one_row_20_are_refused_at_their_first_try(
    dynamodb: Any,
) -> None:
    together = threading.Barrier(RACERS)

    def race(_: int) -> bool:
        together.wait()
        try:
            dynamodb.transact_write_items(TransactItems=[add("one")])
        except dynamodb.exceptions.TransactionCanceledException:
            return False
        return True

    with ThreadPoolExecutor(RACERS) as pool:
        made = sum(pool.map(race, range(RACERS)))

    refused = RACERS - made
    assert refused >= 20
    assert faults.counts()["dynamodb.TransactWriteItems"] == {"through": RACERS, "faulted": 0}
    assert conflicts.refused() == {"dynamodb.TransactWriteItems": refused}
    assert read(dynamodb, "one") == key("one") | {"n": {"N": str(made)}}


def test_without_the_fault_all_of_them_succeed(dynamodb: Any) -> None:
    faults.clear()
    with held("one"), ThreadPoolExecutor(RACERS) as pool:
        list(pool.map(lambda _: dynamodb.transact_write_items(TransactItems=[add("one")]), "x" * 9))
    assert read(dynamodb, "one") == key("one") | {"n": {"N": "9"}}
    assert conflicts.refused() == {}


@pytest.mark.parametrize("met", [add("held"), put("held"), check("held")])
def test_a_transaction_is_cancelled_with_a_reason_for_what_it_meets(
    dynamodb: Any, met: Item
) -> None:
    with held("held", "other"):
        response = refusal(dynamodb, [put("free"), met, add("other")])
    assert response["Error"]["Code"] == "TransactionCanceledException"
    assert response["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, TransactionConflict, TransactionConflict]"
    )
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    reason = {"Code": "TransactionConflict", "Message": MESSAGE}
    assert response["CancellationReasons"] == [{"Code": "None"}, reason, reason]
    assert [read(dynamodb, sk) for sk in ("free", "held")] == [None, None]


def test_a_transaction_that_only_reads_is_cancelled_too(dynamodb: Any) -> None:
    gets = [{"Get": {"TableName": TABLE, "Key": key(sk)}} for sk in ("held", "free")]
    dynamodb.transact_get_items(TransactItems=gets)
    with held("held"), pytest.raises(ClientError) as caught:
        dynamodb.transact_get_items(TransactItems=gets)
    assert codes(caught.value.response) == ["TransactionConflict", "None"]


def test_a_transaction_may_follow_one_that_failed(dynamodb: Any) -> None:
    dynamodb.put_item(TableName=TABLE, Item=key("taken"))
    refusal(dynamodb, [put("taken"), add("sum")])
    dynamodb.transact_write_items(TransactItems=[add("taken"), add("sum")])
    assert read(dynamodb, "sum") == key("sum") | {"n": {"N": "1"}}


def test_a_transaction_that_names_an_item_twice_holds_nothing_afterwards(dynamodb: Any) -> None:
    assert refusal(dynamodb, [add("a"), put("a")])["Error"]["Code"] == "ValidationException"
    dynamodb.transact_write_items(TransactItems=[add("a")])


PLAIN_WRITES = {
    "PutItem": ("put_item", {"Item": key("held")}),
    "DeleteItem": ("delete_item", {"Key": key("held")}),
    "UpdateItem": ("update_item", {"Key": key("held"), "UpdateExpression": "REMOVE n"}),
}


@pytest.mark.parametrize("operation", PLAIN_WRITES)
def test_a_plain_write_fails_and_the_sdk_does_not_repeat_it(dynamodb: Any, operation: str) -> None:
    method, request = PLAIN_WRITES[operation]
    with held("held"), pytest.raises(dynamodb.exceptions.TransactionConflictException) as caught:
        getattr(dynamodb, method)(TableName=TABLE, **request)
    assert caught.value.response["Error"]["Message"] == MESSAGE
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert conflicts.refused() == {f"dynamodb.{operation}": 1}
    getattr(dynamodb, method)(TableName=TABLE, **request)


def test_plain_writes_of_other_items_and_reads_go_on(dynamodb: Any) -> None:
    with held("held"):
        dynamodb.put_item(TableName=TABLE, Item=key("free"))
        assert read(dynamodb, "held") is None
    assert conflicts.refused() == {}


def test_two_plain_writes_never_meet(dynamodb: Any) -> None:
    with ThreadPoolExecutor(RACERS) as pool:
        for _ in pool.map(lambda _: dynamodb.update_item(**add("one")["Update"]), range(200)):
            pass
    assert read(dynamodb, "one") == key("one") | {"n": {"N": "200"}}


def test_of_a_batch_of_statements_those_that_meet_fail(dynamodb: Any) -> None:
    for sk in ("held", "free"):
        dynamodb.put_item(TableName=TABLE, Item=key(sk) | {"state": {"S": "old"}})
    with held("held"):
        answers = dynamodb.batch_execute_statement(Statements=[update("held"), update("free")])
    refused, made = answers["Responses"]
    assert refused["Error"] == {"Code": "TransactionConflict", "Message": MESSAGE}
    assert "Error" not in made
    assert made["Item"]["state"] != {"S": "old"}
    assert conflicts.refused() == {"dynamodb.BatchExecuteStatement": 1}


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM {TABLE} WHERE tenant = 't1' AND sk = 'held'",
        f"UPDATE {TABLE} SET n = '2' WHERE tenant = 't1' AND sk = 'held'",
    ],
)
def test_a_statement_alone_fails_as_a_plain_write(dynamodb: Any, statement: str) -> None:
    dynamodb.put_item(TableName=TABLE, Item=key("held"))
    with held("held"), pytest.raises(dynamodb.exceptions.TransactionConflictException):
        dynamodb.execute_statement(Statement=statement)
    assert read(dynamodb, "held") == key("held")


def test_of_a_batch_of_writes_those_that_meet_come_back(dynamodb: Any) -> None:
    requests = [
        {"PutRequest": {"Item": key("held")}},
        {"PutRequest": {"Item": key("free")}},
        {"DeleteRequest": {"Key": key("gone")}},
    ]
    with held("held", "gone"):
        answer = dynamodb.batch_write_item(RequestItems={TABLE: requests})
    assert answer["UnprocessedItems"] == {TABLE: [requests[0], requests[2]]}
    assert [read(dynamodb, sk) for sk in ("held", "free")] == [None, key("free")]
    assert conflicts.refused() == {"dynamodb.BatchWriteItem": 2}
    assert dynamodb.batch_write_item(RequestItems=answer["UnprocessedItems"])


def test_a_transaction_repeated_after_its_success_meets_nothing(dynamodb: Any) -> None:
    once = {"TransactItems": [add("held")], "ClientRequestToken": "token"}
    dynamodb.transact_write_items(**once)
    with held("held"):
        dynamodb.transact_write_items(**once)
    assert read(dynamodb, "held") == key("held") | {"n": {"N": "1"}}


def test_other_faults_apply_beside_it(dynamodb: Any) -> None:
    faults.add(Fault("dynamodb", "TransactWriteItems", "lose_answer"))
    thrice = client("dynamodb", retries={"total_max_attempts": 3, "mode": "standard"})
    answer = thrice.transact_write_items(TransactItems=[add("one")])
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert read(dynamodb, "one") == key("one") | {"n": {"N": "1"}}
    assert [fault.kind for fault in faults.active()] == ["conflicts"]


def test_its_time_is_a_setting_and_the_last_one_applies() -> None:
    assert conflicts.hold_seconds() == 0.015
    faults.add(Fault("dynamodb", kind="conflicts", seconds=0.2))
    assert [(fault.times, fault.seconds) for fault in faults.active()] == [(None, 0.2)]
    assert conflicts.hold_seconds() == 0.2


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({"service": "sqs"}, "a kind of dynamodb"),
        ({"operation": "PutItem"}, "a kind of dynamodb"),
        ({"times": 3}, "take no times"),
        ({"seconds": 61}, "seconds must be"),
    ],
)
def test_one_that_makes_no_sense_is_refused(fault: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        faults.add(Fault(**({"service": "dynamodb", "kind": "conflicts"} | fault)))
