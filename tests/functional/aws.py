"""What is in the tables and queues, seen past the app."""

import json
from functools import cache
from typing import Any

import boto3


@cache
def client(service: str) -> Any:
    return boto3.Session().client(service)


def rows(thing: str, tenant: str = "t1") -> dict[str, dict[str, Any]]:
    """All rows of a tenant in one table, by sort key."""
    pages = (
        client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=f"backburner-local-{thing}",
            KeyConditionExpression="tenant = :t",
            ExpressionAttributeValues={":t": {"S": tenant}},
        )
    )
    return {item["sk"]["S"]: item for page in pages for item in page["Items"]}


def put_rows(thing: str, items: list[dict[str, Any]]) -> None:
    for start in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        client("dynamodb").batch_write_item(RequestItems={f"backburner-local-{thing}": requests})


def delete_row(thing: str, sk: str, tenant: str = "t1") -> None:
    client("dynamodb").delete_item(
        TableName=f"backburner-local-{thing}", Key={"tenant": {"S": tenant}, "sk": {"S": sk}}
    )


def queue_url(queue: str) -> str:
    return str(client("sqs").get_queue_url(QueueName=f"backburner-local-{queue}")["QueueUrl"])


def put_message(queue: str, body: str) -> None:
    client("sqs").send_message(QueueUrl=queue_url(queue), MessageBody=body)


def take_messages(queue: str) -> list[str]:
    """The bodies of all visible messages, which are in flight from then on."""
    bodies: list[str] = []
    while (
        batch := client("sqs")
        .receive_message(QueueUrl=queue_url(queue), MaxNumberOfMessages=10)
        .get("Messages")
    ):
        bodies += [message["Body"] for message in batch]
    return bodies


def jobs_named_by(bodies: list[str]) -> list[str]:
    """The ids of the jobs that these messages bring."""
    return sorted(json.loads(body)["job"] for body in bodies)


def left_in(queue: str) -> int:
    """How many messages a queue still has: visible, in flight or delayed."""
    names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
    url = queue_url(queue)
    counts = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(counts[name]) for name in names)
