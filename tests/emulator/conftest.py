"""One emulator for the folder, with a table and two queues; emptied before every test."""

import json
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped, unused-ignore]
import pytest
from botocore.config import Config

from infra.local import clock, emulator

TABLE = "things"
DEAD_ARN = "arn:aws:sqs:eu-central-1:123456789012:jobs-dead"


@pytest.fixture(scope="session", autouse=True)
def aws() -> Iterator[None]:
    emulator.start()
    client = boto3.client("dynamodb", region_name=emulator.REGION)
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[_key("tenant", "HASH"), _key("sk", "RANGE")],
        AttributeDefinitions=[
            _attribute("tenant"),
            _attribute("sk"),
            _attribute("name_key"),
            _attribute("due_shard"),
            _attribute("due_at", "N"),
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "name",
                "KeySchema": [_key("tenant", "HASH"), _key("name_key", "RANGE")],
                "Projection": {"ProjectionType": "ALL"},
            },
            {
                "IndexName": "due",
                "KeySchema": [_key("due_shard", "HASH"), _key("due_at", "RANGE")],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["queue"]},
            },
        ],
    )
    yield
    emulator.stop()


@pytest.fixture(autouse=True)
def _clean(aws: None) -> Iterator[None]:
    emulator.reset_data()
    yield
    clock.stop()


@pytest.fixture(scope="session")
def dynamodb(aws: None) -> Any:
    return client("dynamodb")


@pytest.fixture(scope="session")
def sqs(aws: None) -> Any:
    return client("sqs")


@pytest.fixture
def queue(sqs: Any) -> Iterator[str]:
    sqs.create_queue(QueueName="jobs-dead", Attributes={"MessageRetentionPeriod": "1209600"})
    redrive = json.dumps({"deadLetterTargetArn": DEAD_ARN, "maxReceiveCount": 3})
    attributes = {"VisibilityTimeout": "360", "RedrivePolicy": redrive}
    yield sqs.create_queue(QueueName="jobs", Attributes=attributes)["QueueUrl"]
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="jobs")["QueueUrl"])
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="jobs-dead")["QueueUrl"])


def receive(sqs: Any, queue: str, count: int = 10, **more: Any) -> list[dict[str, Any]]:
    answer = sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=count,
        AttributeNames=["All"],
        MessageAttributeNames=["All"],
        **more,
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def client(service: str, **config: Any) -> Any:
    config.setdefault("max_pool_connections", 60)
    return boto3.client(service, region_name=emulator.REGION, config=Config(**config))


def _key(name: str, kind: str) -> dict[str, str]:
    return {"AttributeName": name, "KeyType": kind}


def _attribute(name: str, kind: str = "S") -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": kind}
