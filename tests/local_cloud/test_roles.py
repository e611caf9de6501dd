"""What a policy forbids fails locally as on AWS, and what is not understood is refused."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from boto3 import Session
from botocore.exceptions import ClientError

from infra.local import faults, invocation, rights, roles
from infra.local.rights import Call, Place, Right, UnknownCallError
from tests import rights as report
from tests.local_cloud.test_policy import statement

FEEDBACK = "backburner-local-feedback"
ARN = "arn:aws:{}:eu-central-1:123456789012:{}"
ALIASES = ("alias/backburner-local-data",)
PLACE = Place("eu-central-1", "123456789012", lambda _: (ARN.format("kms", "key/1"), ALIASES))


@pytest.fixture(autouse=True)
def _enforced(new_account: object) -> Iterator[None]:
    roles.enforce()
    roles.take_denials()
    faults.clear()
    yield
    roles.take_denials()
    roles.lift()


# What a refusal looks like

CALLS = [
    ("dynamodb", "put_item", {"TableName": "backburner-local-kernel", "Item": {"a": {"S": "x"}}},
     ("AccessDeniedException", 400, "dynamodb:PutItem", "table/backburner-local-kernel")),
    ("sqs", "send_message_batch",
     {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/backburner-local-work",
      "Entries": [{"Id": "1", "MessageBody": "x"}]},
     ("AccessDenied", 403, "sqs:SendMessage", "backburner-local-work")),
    ("sns", "publish", {"PhoneNumber": "+447700900123", "Message": "x"},
     ("AuthorizationError", 403, "sns:Publish", "+447700900123")),
    ("sesv2", "send_email",
     {"FromEmailAddress": "Shop <shop@example.com>", "Content": {"Raw": {"Data": b"x"}}},
     ("AccessDeniedException", 403, "ses:SendEmail", "identity/shop@example.com")),
    ("stepfunctions", "start_execution",
     {"stateMachineArn": ARN.format("states", "stateMachine:m"), "input": "{}"},
     ("AccessDeniedException", 400, "states:StartExecution", "stateMachine:m")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "operation", "call", "wanted"), CALLS, ids=lambda v: str(v)[:12]
)
def test_a_refusal_is_the_services_own_and_says_what_is_missing(
    session: Session, service: str, operation: str, call: dict[str, Any], wanted: tuple[Any, ...]
) -> None:
    code, status, action, resource = wanted
    client = session.client(service)
    with invocation.of(FEEDBACK), pytest.raises(ClientError) as refused:
        getattr(client, operation)(**call)

    error = refused.value.response["Error"]
    assert error["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    user = f"arn:aws:sts::123456789012:assumed-role/{FEEDBACK}/{FEEDBACK}"
    assert error["Message"].startswith(
        f"User: {user} is not authorized to perform: {action} on resource: "
    )
    assert f"{resource} because no identity-based policy allows" in error["Message"]
    assert [denial.function for denial in roles.take_denials()] == ["feedback"]
    assert faults.counts() == {}  # it has not reached the service


def test_outside_all_functions_nothing_is_judged(session: Session) -> None:
    queue = session.client("sqs").create_queue(QueueName="any")
    assert queue["QueueUrl"]
    assert roles.take_denials() == []


def test_a_call_of_which_nobody_has_said_what_it_needs_fails_loudly(session: Session) -> None:
    with invocation.of(FEEDBACK), pytest.raises(UnknownCallError, match="CreateQueue of sqs"):
        session.client("sqs").create_queue(QueueName="any")
    assert len(roles.take_denials()) == 1


def test_a_call_without_what_its_rights_are_read_from_fails_loudly(session: Session) -> None:
    with invocation.of(FEEDBACK), pytest.raises(UnknownCallError, match="has no 'KeyId'"):
        session.client("kms").decrypt(CiphertextBlob=b"x")
    assert len(roles.take_denials()) == 1


# Threads


def test_a_thread_and_a_pools_task_act_for_the_function_that_started_them() -> None:
    seen: list[str] = []
    note = lambda: seen.append(invocation.current())  # noqa: E731
    with invocation.of("a"):
        thread = threading.Thread(target=note)
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(note).result()
    assert seen == ["a", "a"]


def test_a_pool_that_outlives_an_invocation_acts_for_whoever_submits() -> None:
    with ThreadPoolExecutor(1) as pool:
        with invocation.of("a"):
            assert pool.submit(invocation.current).result() == "a"
        with invocation.of("b"):
            assert pool.submit(invocation.current).result() == "b"


# Which rights a call needs

TABLE = ARN.format("dynamodb", "table/t")
NEEDS: list[tuple[str, str, dict[str, Any], set[tuple[str, str]]]] = [
    ("dynamodb", "Query", {"TableName": "t"}, {("dynamodb:Query", TABLE)}),
    ("dynamodb", "Query", {"TableName": "t", "IndexName": "i"},
     {("dynamodb:Query", f"{TABLE}/index/i")}),
    ("dynamodb", "BatchGetItem", {"RequestItems": {"t": {}, "u": {}}},
     {("dynamodb:BatchGetItem", TABLE), ("dynamodb:BatchGetItem", TABLE[:-1] + "u")}),
    ("dynamodb", "BatchWriteItem", {"RequestItems": {"t": []}},
     {("dynamodb:BatchWriteItem", TABLE)}),
    ("dynamodb", "TransactWriteItems",
     {"TransactItems": [{kind: {"TableName": "t"}} for kind in
                        ("Put", "Put", "Update", "Delete", "ConditionCheck")]},
     {(f"dynamodb:{each}", TABLE)
      for each in ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")}),
    ("dynamodb", "TransactGetItems", {"TransactItems": [{"Get": {"TableName": "t"}}]},
     {("dynamodb:GetItem", TABLE)}),
    ("dynamodb", "BatchExecuteStatement",
     {"Statements": [{"Statement": 'UPDATE "t" SET "a" = ? WHERE "k" = ?'},
                     {"Statement": 'SELECT * FROM "t"."i"'}]},
     {("dynamodb:PartiQLUpdate", TABLE), ("dynamodb:PartiQLSelect", f"{TABLE}/index/i")}),
    ("dynamodb", "ExecuteStatement", {"Statement": "DELETE FROM t WHERE k = ?"},
     {("dynamodb:PartiQLDelete", TABLE)}),
    ("sqs", "GetQueueUrl", {"QueueName": "q"}, {("sqs:GetQueueUrl", ARN.format("sqs", "q"))}),
    *(("sqs", f"{name}Batch", {"QueueUrl": "https://sqs/1/q"},
       {(f"sqs:{name}", ARN.format("sqs", "q"))})
      for name in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")),
    ("sesv2", "SendEmail", {"FromEmailAddress": "a@b.example", "ConfigurationSetName": "c"},
     {("ses:SendEmail", ARN.format("ses", "identity/a@b.example")),
      ("ses:SendEmail", ARN.format("ses", "configuration-set/c"))}),
    ("stepfunctions", "StopExecution", {"executionArn": "arn:x"},
     {("states:StopExecution", "arn:x")}),
    ("ssm", "GetParameters", {"Names": ["/a/b", "c"]},
     {("ssm:GetParameters", ARN.format("ssm", f"parameter/{name}")) for name in ("a/b", "c")}),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "body", "wanted"), NEEDS)
def test_a_call_needs_the_rights_that_aws_asks_for(
    service: str, operation: str, body: dict[str, Any], wanted: set[tuple[str, str]]
) -> None:
    call = Call(service, operation, "POST", "https://aws/", json.dumps(body).encode())
    assert {(right.action, right.resource) for right in rights.needed(call, PLACE)} == wanted


def test_a_push_to_a_connection_needs_its_path() -> None:
    url = "http://127.0.0.1:8000/_local/sockets/@connections/abc%3D"
    (right,) = rights.needed(
        Call("apigatewaymanagementapi", "PostToConnection", "POST", url, b"x"), PLACE
    )
    path = ARN.format("execute-api", "local/api/POST/@connections/abc=")
    assert right == Right("execute-api:ManageConnections", path)


# What `make test` concludes

PEOPLE = ARN.format("dynamodb", "table/backburner-local-people")


def test_a_right_without_which_no_call_would_be_denied_is_named() -> None:
    calls = {("authorize", Right("dynamodb:GetItem", PEOPLE)): "a test"}
    found = report.needs(calls)["authorize"]
    assert found[f"SignIn: dynamodb:GetItem on {PEOPLE}"] == {"resource": PEOPLE, "test": "a test"}
    assert found[f"SignIn: dynamodb:PutItem on {PEOPLE}"] == {}


def test_a_right_that_two_statements_give_is_needed_in_neither(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twice = statement()["Statement"] * 2
    monkeypatch.setattr(report.policies, "policy", lambda *_: {"Statement": twice})
    found = report.needs({("work", Right("kms:Decrypt", "arn:aws:kms::1:key/1")): "a test"})["work"]
    assert set(map(str, found.values())) == {"{}"}
