"""Our signature is botocore's, whatever is signed."""

from typing import Any

import pytest
import time_machine
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.aws import Signer

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
