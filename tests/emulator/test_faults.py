"""Every kind of fault, on every service, as the SDK sees it."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from infra.local import faults, mailbox
from infra.local.faults import Fault
from tests.emulator.conftest import TABLE, client

ITEM = {"tenant": {"S": "t"}, "sk": {"S": "s"}}
Call = Callable[[Any], Any]

#: our name, boto's name, operation, a call, the throttling code, its status
SERVICES: list[tuple[Any, str, str, Call, str, int]] = [
    (
        "dynamodb",
        "dynamodb",
        "PutItem",
        lambda c: c.put_item(TableName=TABLE, Item=ITEM),
        "ThrottlingException",
        400,
    ),
    ("sqs", "sqs", "ListQueues", lambda c: c.list_queues(), "RequestThrottled", 403),
    (
        "ses",
        "sesv2",
        "ListEmailIdentities",
        lambda c: c.list_email_identities(),
        "TooManyRequestsException",
        429,
    ),
    ("ses", "ses", "ListIdentities", lambda c: c.list_identities(), "Throttling", 400),
    (
        "sns",
        "sns",
        "Publish",
        lambda c: c.publish(PhoneNumber="+4915112345678", Message="x"),
        "Throttling",
        400,
    ),
    (
        "states",
        "stepfunctions",
        "ListStateMachines",
        lambda c: c.list_state_machines(),
        "ThrottlingException",
        400,
    ),
]
each_service = pytest.mark.parametrize(
    ("ours", "boto", "operation", "call", "throttled", "status"),
    SERVICES,
    ids=[s[1] for s in SERVICES],
)


@pytest.fixture(autouse=True)
def _no_pause_between_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@cache
def once(service: str) -> Any:
    return client(service, retries={"total_max_attempts": 1, "mode": "standard"})


@cache
def thrice(service: str) -> Any:
    return client(service, retries={"total_max_attempts": 3, "mode": "standard"})


@each_service
def test_a_throttled_service_says_so_in_its_own_words(
    ours: Any, boto: str, operation: str, call: Call, throttled: str, status: int
) -> None:
    faults.add(Fault(ours, operation, "throttle"))
    with pytest.raises(ClientError) as caught:
        call(once(boto))
    assert caught.value.response["Error"]["Code"] == throttled
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    call(once(boto))


@each_service
def test_the_sdk_tries_again_after_throttling_and_succeeds(
    ours: Any, boto: str, operation: str, call: Call, throttled: str, status: int
) -> None:
    faults.add(Fault(ours, operation, "throttle", times=2))
    assert call(thrice(boto))["ResponseMetadata"]["RetryAttempts"] == 2
    assert faults.active() == []
    assert faults.counts() == {f"{ours}.{operation}": {"through": 1, "faulted": 2}}


@each_service
def test_a_refused_call_is_not_executed_and_is_503(
    ours: Any, boto: str, operation: str, call: Call, throttled: str, status: int
) -> None:
    faults.add(Fault(ours, kind="refuse", times=None))
    with pytest.raises(ClientError) as caught:
        call(thrice(boto))
    assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert faults.counts() == {f"{ours}.{operation}": {"through": 0, "faulted": 3}}
    assert mailbox.sent() == []


@each_service
def test_a_lost_answer_is_a_read_time_out(
    ours: Any, boto: str, operation: str, call: Call, throttled: str, status: int
) -> None:
    faults.add(Fault(ours, operation, "lose_answer"))
    with pytest.raises(ReadTimeoutError):
        call(once(boto))


def test_what_lost_its_answer_was_executed(dynamodb: Any) -> None:
    faults.add(Fault("dynamodb", "PutItem", "lose_answer"))
    with pytest.raises(ReadTimeoutError):
        once("dynamodb").put_item(TableName=TABLE, Item=ITEM)
    assert dynamodb.get_item(TableName=TABLE, Key=ITEM)["Item"] == ITEM


def test_an_sms_whose_answer_was_lost_was_sent_and_the_retry_sends_another() -> None:
    faults.add(Fault("sns", "Publish", "lose_answer"))
    thrice("sns").publish(PhoneNumber="+4915112345678", Message="x")
    assert len(mailbox.sent()) == 2


def test_a_transaction_whose_answer_was_lost_counts_once_through_the_sdks_retry(
    dynamodb: Any,
) -> None:
    faults.add(Fault("dynamodb", "TransactWriteItems", "lose_answer"))
    update = {
        "TableName": TABLE,
        "Key": ITEM,
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    thrice("dynamodb").transact_write_items(TransactItems=[{"Update": update}])
    assert dynamodb.get_item(TableName=TABLE, Key=ITEM)["Item"]["n"] == {"N": "1"}


def test_a_delay_holds_the_call_up_and_lets_it_through(dynamodb: Any) -> None:
    faults.add(Fault("dynamodb", "PutItem", "delay", seconds=0.05))
    started = time.monotonic()
    dynamodb.put_item(TableName=TABLE, Item=ITEM)
    assert time.monotonic() - started >= 0.05
    assert dynamodb.get_item(TableName=TABLE, Key=ITEM)["Item"] == ITEM


def test_a_refusal_may_carry_a_code_of_its_own() -> None:
    faults.add(Fault("ses", "SendEmail", "refuse", code="MessageRejected"))
    ses = thrice("sesv2")
    with pytest.raises(ses.exceptions.MessageRejected) as caught:
        ses.send_email(
            FromEmailAddress="a@example.com",
            Destination={"ToAddresses": ["b@example.com"]},
            Content={"Simple": {"Subject": {"Data": "S"}, "Body": {"Text": {"Data": "T"}}}},
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert faults.counts() == {"ses.SendEmail": {"through": 0, "faulted": 1}}


def test_other_operations_and_services_go_through(dynamodb: Any, sqs: Any) -> None:
    faults.add(Fault("dynamodb", "GetItem", "refuse", times=0))
    dynamodb.put_item(TableName=TABLE, Item=ITEM)
    sqs.list_queues()
    assert [fault.times for fault in faults.active()] == [0]
    faults.clear()
    assert dynamodb.get_item(TableName=TABLE, Key=ITEM)["Item"] == ITEM


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({"service": "s3"}, "service must be one of"),
        ({"kind": "explode"}, "kind must be one of"),
        ({"operation": "SendMesage"}, "sqs has no operation"),
        ({"times": -1}, "times must be"),
        ({"times": 1.5}, "times must be"),
        ({"kind": "delay", "seconds": -1}, "seconds must be"),
        ({"kind": "delay", "seconds": "1"}, "seconds must be"),
        ({"status": 500}, "status needs a code"),
        ({"code": "X", "status": 200}, "status must be"),
        ({"kind": "throttle", "code": "X"}, "go with the kind refuse"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        faults.add(Fault(**({"service": "sqs"} | fault)))
    assert faults.active() == []
