# ruff: noqa: INP001  not of a package: it runs where nothing of ours is on the path
"""The least that accepts a user: boto3 with its default settings and nothing around it.

One transaction of the rows that Backburner writes for the same request, one message per channel.
No tenant is looked up, nothing is validated, logged or counted.
"""

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3

dynamodb = boto3.client("dynamodb")
sqs = boto3.client("sqs")

PEOPLE = "raw-people"
KERNEL = "raw-kernel"
QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/raw-notify"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    given = json.loads(event["body"])
    tenant = event["requestContext"]["authorizer"]["tenant_id"]
    now, created = int(time.time()), datetime.now(UTC).isoformat()
    user_id = uuid.uuid4().hex
    answer = {"success": True, "data": {"user": {"id": user_id, **given, "status": "invited"}}}
    body = json.dumps(answer)
    jobs = [
        _job(tenant, "email", given["email"], user_id, now, created),
        _job(tenant, "sms", given["phone"], user_id, now, created),
    ]
    dynamodb.transact_write_items(
        TransactItems=[
            _put(PEOPLE, _person(tenant, user_id, given, now, created)),
            _put(PEOPLE, _guard(tenant, given["email"], user_id)),
            *(_put(KERNEL, job) for job in jobs),
            _put(KERNEL, _answer(tenant, event["headers"]["Idempotency-Key"], body, now)),
        ]
    )
    sqs.send_message_batch(
        QueueUrl=QUEUE,
        Entries=[
            {
                "Id": str(number),
                "MessageBody": json.dumps({"tenant": tenant, "job": job["sk"]["S"]}),
                "MessageGroupId": tenant,
            }
            for number, job in enumerate(jobs)
        ],
    )
    return {"statusCode": 201, "headers": {"Content-Type": "application/json"}, "body": body}


def _put(table: str, item: dict[str, Any]) -> dict[str, Any]:
    condition = "attribute_not_exists(sk)"
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": condition}}


def _person(
    tenant: str, user_id: str, given: dict[str, str], now: int, created: str
) -> dict[str, Any]:
    return {
        "tenant": {"S": tenant},
        "sk": {"S": f"person#{user_id}"},
        "name": {"S": given["name"]},
        "name_key": {"S": given["name"].lower()},
        "email": {"S": given["email"]},
        "email_key": {"S": given["email"].lower()},
        "phone": {"S": given["phone"]},
        "role": {"S": given["role"]},
        "status": {"S": "invited"},
        "version": {"N": "1"},
        "created_at": {"S": created},
        "created_by": {"S": "manager"},
        "invitation_version": {"N": "1"},
        "invitation_sent_at": {"N": str(now)},
        "invitation_expires_at": {"N": str(now + 604_800)},
    }


def _guard(tenant: str, email: str, user_id: str) -> dict[str, Any]:
    return {
        "tenant": {"S": tenant},
        "sk": {"S": f"email#{email.lower()}"},
        "person_id": {"S": user_id},
    }


def _job(
    tenant: str, channel: str, to: str, user_id: str, now: int, created: str
) -> dict[str, Any]:
    return {
        "tenant": {"S": tenant},
        "sk": {"S": f"job#{uuid.uuid4().hex}"},
        "type": {"S": "people.invitation"},
        "queue": {"S": "notify"},
        "status": {"S": "queued"},
        "args": {"S": json.dumps({"person_id": user_id, "version": 1})},
        "attempts": {"N": "0"},
        "max_attempts": {"N": "6"},
        "channel": {"S": channel},
        "recipient": {"S": to},
        "recipient_key": {"S": f"{tenant}#{to}"},
        "due_shard": {"S": "1"},
        "due_at": {"N": str(now + 60)},
        "due_step_seconds": {"N": "120"},
        "created_at": {"S": created},
    }


def _answer(tenant: str, key: str, body: str, now: int) -> dict[str, Any]:
    return {
        "tenant": {"S": tenant},
        "sk": {"S": f"idem#{key}"},
        "fingerprint": {"S": uuid.uuid4().hex},
        "status_code": {"N": "201"},
        "headers": {"S": "{}"},
        "body": {"B": body.encode()},
        "expires_at": {"N": str(now + 86_400)},
    }
