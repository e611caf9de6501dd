"""What we write, sign and read by a shorter way is what botocore writes, signs and reads."""

import json
from functools import cache
from typing import Any

import botocore.session
import pytest
import time_machine
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, HeadersDict
from botocore.credentials import ReadOnlyCredentials
from botocore.parsers import JSONParser
from botocore.serialize import JSONSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.kernel.aws.fast_path import Parser, Serializer, Signer

NOON = "2026-11-22T12:00:00Z"
WITH_TOKEN = ReadOnlyCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "a token/+=")
WITHOUT = ReadOnlyCredentials("AKIDEXAMPLE", "another secret", None)
HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.TransactWriteItems",
    "User-Agent": "backburner",
    "amz-sdk-invocation-id": "5b3c9d3a",
}
URL = "https://dynamodb.eu-central-1.amazonaws.com/"
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@cache
def model_of(service: str) -> Any:
    return botocore.session.Session().get_service_model(service)


def signed(signer: type[SigV4Auth], credentials: Any = WITH_TOKEN, **request: Any) -> str:
    values = {"method": "POST", "url": URL, "headers": dict(HEADERS), "data": b"{}", **request}
    made = AWSRequest(**values)
    with time_machine.travel(NOON, tick=False):
        signer(credentials, "dynamodb", "eu-central-1").add_auth(made)
    return str(made.headers["Authorization"]) + str(sorted(made.headers.items()))


@settings(deadline=None)  # a busy machine is not what is tested
@given(st.binary(), st.dictionaries(st.sampled_from(["X-A", "x-b", "X-Amzn-C"]), words))
def test_any_body_under_any_headers_is_signed_as_botocore_does(
    body: bytes, headers: dict[str, str]
) -> None:
    given_ = {"data": body, "headers": {**HEADERS, **headers}}

    assert signed(Signer, **given_) == signed(SigV4Auth, **given_)


@pytest.mark.parametrize(
    "request_",
    [
        {"credentials": WITHOUT},
        {"url": "http://127.0.0.1:4566/"},
        {"url": "https://SQS.eu-central-1.amazonaws.com"},
        {"url": "https://email.eu-central-1.amazonaws.com/v2/email/outbound-emails"},
        {"url": f"{URL}?b=2&a=1"},
        {"method": "GET", "params": {"q": "a b"}, "data": b""},
        {"headers": {**HEADERS, "Date": "Sun, 22 Nov 2026 11:00:00 GMT"}},
        {"headers": {**HEADERS, "Authorization": "of an earlier try", "X-Amz-Date": "too"}},
        {"headers": {**HEADERS, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}},
        {"data": "text"},
    ],
)
def test_a_request_of_another_kind_is_signed_as_botocore_does(request_: dict[str, Any]) -> None:
    assert signed(Signer, **request_) == signed(SigV4Auth, **request_)


ITEM = {
    "sk": {"S": 'job#1 \u00fc \U0001f680 "quoted"'},
    "version": {"N": "12345678901234567890.5"},
    "body": {"B": b"\x00\xff bytes"},
    "all": {"BS": [b"a", b"b"]},
    "history": {"L": [{"M": {"at": {"S": ""}, "none": {"NULL": True}}}]},
}
CALLS = [
    (
        "dynamodb",
        "TransactWriteItems",
        {"TransactItems": [{"Put": {"TableName": "t", "Item": ITEM}}]},
    ),
    ("dynamodb", "Query", {"TableName": "t", "Limit": 5, "ConsistentRead": False}),
    (
        "dynamodb",
        "BatchExecuteStatement",
        {"Statements": [{"Statement": 'UPDATE "t" SET "a" = ?', "Parameters": [*ITEM.values()]}]},
    ),
    (
        "sqs",
        "SendMessageBatch",
        {
            "QueueUrl": "https://sqs.eu-central-1.amazonaws.com/1/q",
            "Entries": [
                {
                    "Id": "0",
                    "MessageBody": "{}",
                    "MessageGroupId": "t1",
                    "DelaySeconds": 0,
                    "MessageAttributes": {"b": {"DataType": "Binary", "BinaryValue": b"\xff"}},
                }
            ],
        },
    ),
    ("stepfunctions", "StartExecution", {"stateMachineArn": "arn", "name": "n", "input": "{}"}),
]


@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS)
def test_a_call_is_written_as_botocore_does(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    model = model_of(service).operation_model(operation)
    ours, theirs = (
        kind().serialize_to_request(parameters, model) for kind in (Serializer, JSONSerializer)
    )

    assert json.loads(ours.pop("body")) == json.loads(theirs.pop("body"))
    assert ours == theirs


@pytest.mark.parametrize("service", ["dynamodb", "sqs"])
def test_no_member_of_these_services_is_named_otherwise_in_json(service: str) -> None:
    model = model_of(service)
    renamed = [
        f"{shape}.{member}"
        for shape in model.shape_names
        for member, told in getattr(model.shape_for(shape), "members", {}).items()
        if "name" in told.serialization
    ]

    assert renamed == []


texts = st.text(max_size=8) | st.sampled_from(['"B":', "null", '\\"BS\\":'])
scalars = st.one_of(
    st.builds(lambda text: {"S": text}, texts),
    st.builds(lambda number: {"N": str(number)}, st.integers()),
    st.builds(lambda truth: {"BOOL": truth}, st.booleans()),
    st.just({"NULL": True}),
    st.just({"B": "AP8gYnl0ZXM="}),
    st.just({"BS": ["YQ==", "Yg=="]}),
    st.just({"S": None}),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.builds(lambda each: {"L": each}, st.lists(inner, max_size=2))
        | st.builds(lambda each: {"M": each}, st.dictionaries(texts, inner, max_size=2))
    ),
    max_leaves=5,
)
items = st.dictionaries(texts, values, max_size=3)


def read(
    reader: type[JSONParser], service: str, operation: str, body: bytes, status: int = 200
) -> Any:
    model = model_of(service).operation_model(operation)
    headers = HeadersDict({"x-amzn-RequestId": "r1", "Content-Type": "application/x-amz-json-1.0"})
    response = {"status_code": status, "headers": headers, "body": body}
    return reader().parse(response, model.output_shape)


@settings(deadline=None)
@given(items, items)
def test_any_item_is_read_as_botocore_does(one: dict[str, Any], other: dict[str, Any]) -> None:
    for operation, answer in (
        ("UpdateItem", {"Attributes": one}),
        ("Query", {"Items": [one, other]}),
        ("BatchExecuteStatement", {"Responses": [{"Item": one}, {"Error": {"Item": other}}]}),
    ):
        body = json.dumps(answer).encode()

        assert read(Parser, "dynamodb", operation, body) == read(
            JSONParser, "dynamodb", operation, body
        )


ANSWERS: list[tuple[str, str, bytes, int]] = [
    ("dynamodb", "TransactWriteItems", b"{}", 200),
    ("dynamodb", "TransactWriteItems", b"", 200),
    ("dynamodb", "TransactWriteItems", b"<html>from a proxy</html>", 200),
    ("dynamodb", "UpdateItem", b'{"Attributes": {"sk": {"S": "cut o', 200),
    ("dynamodb", "DescribeTable", b'{"Table": {"CreationDateTime": 1795825787.5}}', 200),
    ("dynamodb", "UpdateItem", b'{"__type": "x#ThrottlingException", "message": "later"}', 400),
    ("dynamodb", "UpdateItem", b"<html>busy</html>", 503),
    (
        "dynamodb",
        "TransactWriteItems",
        b"""{"__type": "x#TransactionCanceledException", "CancellationReasons":
            [{"Code": "ConditionalCheckFailed", "Item": {"body": {"B": "AP8="}}}]}""",
        400,
    ),
    (
        "sqs",
        "ReceiveMessage",
        b"""{"Messages": [{"Body": "{}", "MessageAttributes":
            {"b": {"DataType": "Binary", "BinaryValue": "AP8="}}}]}""",
        200,
    ),
    ("sqs", "SendMessageBatch", b'{"Successful": [{"Id": "0"}], "Failed": []}', 200),
    ("kms", "GenerateDataKey", b'{"CiphertextBlob": "AP8=", "Plaintext": "AP8="}', 200),
    ("stepfunctions", "StartExecution", b'{"executionArn": "arn", "startDate": 1795825787.5}', 200),
    ("cloudwatch", "PutMetricData", b"", 200),
]


@pytest.mark.parametrize(("service", "operation", "body", "status"), ANSWERS)
def test_an_answer_is_read_as_botocore_does(
    service: str, operation: str, body: bytes, status: int
) -> None:
    told = [read(reader, service, operation, body, status) for reader in (Parser, JSONParser)]

    assert told[0] == told[1]
