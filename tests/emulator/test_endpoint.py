"""The emulator over HTTP: the same data, seen by a client that knows an address only."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3  # type: ignore[import-untyped, unused-ignore]
import pytest

from infra.local import emulator, endpoint, mailbox
from tests.emulator.conftest import TABLE, client

ITEM = {"tenant": {"S": "t"}, "sk": {"S": "s"}}


@pytest.fixture(scope="module")
def url(aws: None) -> Iterator[str]:
    yield endpoint.start()
    endpoint.stop()


def over_http(service: str, url: str) -> Any:
    return boto3.client(service, endpoint_url=url, region_name=emulator.REGION)


def test_both_sides_see_the_same_tables_and_queues(url: str, dynamodb: Any, sqs: Any) -> None:
    remote = over_http("dynamodb", url)
    dynamodb.put_item(TableName=TABLE, Item=ITEM)
    assert TABLE in remote.list_tables()["TableNames"]
    assert remote.get_item(TableName=TABLE, Key=ITEM)["Item"] == ITEM
    queue = sqs.create_queue(QueueName="shared")["QueueUrl"]
    far = over_http("sqs", url)
    far.send_message(QueueUrl=far.get_queue_url(QueueName="shared")["QueueUrl"], MessageBody="hi")
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "hi"


def test_what_another_process_sends_is_in_the_mailbox(url: str) -> None:
    client("sesv2").create_email_identity(EmailIdentity="http@example.com")
    script = """
import boto3, json, sys
ses = boto3.client("sesv2", endpoint_url=sys.argv[1], region_name="eu-central-1",
                   aws_access_key_id="x", aws_secret_access_key="y")
content = {"Simple": {"Subject": {"Data": "S"}, "Body": {"Text": {"Data": "T"}}}}
print(json.dumps(ses.send_email(FromEmailAddress="http@example.com", Content=content,
    Destination={"ToAddresses": ["ann@example.com"]})["MessageId"]))
"""
    run = subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, text=True, check=True, timeout=30
    )
    (mail,) = mailbox.sent()
    assert (mail.to, mail.message_id) == ("ann@example.com", json.loads(run.stdout))


def test_transactions_over_http_are_atomic_too(url: str, dynamodb: Any) -> None:
    remote = over_http("dynamodb", url)
    update = {
        "TableName": TABLE,
        "Key": ITEM,
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }

    def add(n: int) -> None:
        side = remote if n % 2 else dynamodb
        side.transact_write_items(TransactItems=[{"Update": update}])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert dynamodb.get_item(TableName=TABLE, Key=ITEM)["Item"]["n"] == {"N": "40"}


def test_a_second_start_gives_the_same_address(url: str) -> None:
    assert endpoint.start() == url
