"""The same route as a typical team writes it: Chalice, pynamodb, pydantic and Powertools.

Each tool as its own documentation shows it: the Logger and Metrics as middleware, the idempotency
utility with its DynamoDB layer around the function that creates the user.
"""

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any, Literal

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from chalice import BadRequestError, Chalice, ConvertToMiddleware, ForbiddenError, Response
from chalicelib.models import EmailGuard, Job, User
from pydantic import BaseModel, Field, ValidationError
from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/typical-notify"

app = Chalice("typical")
logger = Logger(service="typical")
metrics = Metrics(namespace="Typical", service="typical")
sqs = boto3.client("sqs")
connection = Connection(region="eu-central-1")
persistence = DynamoDBPersistenceLayer(table_name="typical-idempotency")
once = IdempotencyConfig(event_key_jmespath="key", expires_after_seconds=86_400)

app.register_middleware(ConvertToMiddleware(logger.inject_lambda_context))
app.register_middleware(ConvertToMiddleware(metrics.log_metrics))


class NewUser(BaseModel):
    name: str = Field(min_length=1, max_length=200)
    email: str = Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    phone: str | None = Field(default=None, pattern=r"^\+[1-9]\d{6,14}$")
    role: Literal["admin", "manager", "staff", "customer"]
    send_email: bool = True
    send_sms: bool = True


@app.route("/admin/v1/users", methods=["POST"])
def create_user() -> Response:
    request: Any = app.current_request
    caller = request.context["authorizer"]
    if caller["role"] not in ("admin", "manager"):
        raise ForbiddenError("Not allowed")
    try:
        body = NewUser.model_validate(request.json_body)
    except ValidationError as error:
        raise BadRequestError(str(error)) from error
    key = f"{caller['tenant_id']}#{request.headers['idempotency-key']}"
    created = create(payload={"key": key}, caller=caller, body=body)
    metrics.add_metric(name="UsersCreated", unit=MetricUnit.Count, value=1)
    logger.info("user created", user_id=created["user"]["id"], tenant=caller["tenant_id"])
    return Response({"success": True, "data": created}, status_code=201)


@idempotent_function(data_keyword_argument="payload", persistence_store=persistence, config=once)
def create(payload: dict[str, str], caller: dict[str, str], body: NewUser) -> dict[str, Any]:
    tenant, user_id = caller["tenant_id"], uuid.uuid4().hex
    now, created_at = int(time.time()), datetime.now(UTC).isoformat()
    user = User(
        tenant,
        f"person#{user_id}",
        name=body.name,
        name_key=body.name.lower(),
        email=body.email,
        email_key=body.email.lower(),
        phone=body.phone,
        role=body.role,
        status="invited",
        created_at=created_at,
        created_by=caller["principalId"],
        invitation_sent_at=now,
        invitation_expires_at=now + 604_800,
    )
    jobs = [
        _job(tenant, channel, to, user_id, created_at)
        for channel, to, wanted in (
            ("email", body.email, body.send_email),
            ("sms", body.phone, body.send_sms),
        )
        if to and wanted
    ]
    with TransactWrite(connection=connection) as transaction:
        transaction.save(user, condition=User.sk.does_not_exist())
        guard = EmailGuard(tenant, f"email#{body.email.lower()}", user_id=user_id)
        transaction.save(guard, condition=EmailGuard.sk.does_not_exist())
        for job in jobs:
            transaction.save(job, condition=Job.sk.does_not_exist())
    sqs.send_message_batch(
        QueueUrl=QUEUE,
        Entries=[
            {
                "Id": str(number),
                "MessageBody": json.dumps({"tenant": tenant, "job": job.sk}),
                "MessageGroupId": tenant,
            }
            for number, job in enumerate(jobs)
        ],
    )
    view = {"id": user_id, **body.model_dump(exclude={"send_email", "send_sms"})}
    return {"user": {**view, "status": "invited", "created_at": created_at}}


def _job(tenant: str, channel: str, to: str, user_id: str, created_at: str) -> Job:
    return Job(
        tenant,
        f"job#{uuid.uuid4().hex}",
        type="invitation",
        queue="notify",
        status="queued",
        args=json.dumps({"user_id": user_id}),
        max_attempts=6,
        channel=channel,
        recipient=to,
        recipient_key=f"{tenant}#{to}",
        created_at=created_at,
    )
