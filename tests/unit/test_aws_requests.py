"""What we write and sign by a shorter way is what botocore writes and signs."""

import json
from typing import Any

import botocore.session
import pytest
import time_machine
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.serialize import JSONSerializer
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.aws import Signer, Writer

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


def signed(signer: type[SigV4Auth], credentials: Any = WITH_TOKEN, **request: Any) -> str:
    values = {"method": "POST", "url": URL, "headers": dict(HEADERS), "data": b"{}", **request}
    made = AWSRequest(**values)
    with time_machine.travel(NOON, tick=False):
        signer(credentials, "dynamodb", "eu-central-1").add_auth(made)
    return str(made.headers["Authorization"]) + str(sorted(made.headers.items()))


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
    model = botocore.session.Session().get_service_model(service).operation_model(operation)
    ours, theirs = (
        kind().serialize_to_request(parameters, model) for kind in (Writer, JSONSerializer)
    )

    assert json.loads(ours.pop("body")) == json.loads(theirs.pop("body"))
    assert ours == theirs


@pytest.mark.parametrize("service", ["dynamodb", "sqs"])
def test_no_member_of_these_services_is_named_otherwise_in_json(service: str) -> None:
    model = botocore.session.Session().get_service_model(service)
    renamed = [
        f"{shape}.{member}"
        for shape in model.shape_names
        for member, told in getattr(model.shape_for(shape), "members", {}).items()
        if "name" in told.serialization
    ]

    assert renamed == []
