"""Which rights a call of AWS needs: the actions, and the resources that they are on.

Read from the request as it is sent, so it does not matter which code made it. Operations and
actions mostly have the same name; where they differ, the pages of the Service Authorization
Reference decide, of which DynamoDB's is an example:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

#: The values of a call's condition keys.
Context = frozenset[tuple[str, tuple[str, ...]]]
Body = dict[str, Any]
NO_CONTEXT: Context = frozenset()


class Right(NamedTuple):
    action: str
    resource: str  #: an ARN, or a telephone number
    context: Context = NO_CONTEXT


class UnknownCallError(RuntimeError):
    """Nobody has said yet which rights a call needs."""


class Place(NamedTuple):
    """Where the resources of the local cloud are."""

    region: str
    account: str
    key_of: Callable[[str], tuple[str, tuple[str, ...]]]  #: ARN and aliases of a KMS key by its id

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


class Call(NamedTuple):
    """A request to AWS."""

    service: str  #: as botocore names it
    operation: str
    method: str
    url: str
    body: bytes


def needed(call: Call, place: Place) -> list[Right]:
    """All rights that the call needs. Raises UnknownCallError for one that is not known here."""
    read = _SERVICES.get(call.service)
    if read is None:
        raise UnknownCallError(_unknown(call))
    try:
        rights = list(read(call, place))
    except KeyError as missing:  # AWS finds it elsewhere, or leaves it out
        raise UnknownCallError(f"{_unknown(call)}: the request has no {missing}") from None
    if not rights:
        raise UnknownCallError(_unknown(call))
    return rights


def _unknown(call: Call) -> str:
    return (
        f"infra/local/rights.py does not know which rights {call.operation} of {call.service} "
        "needs; add it there"
    )


def _json(call: Call) -> Body:
    content = json.loads(call.body or b"{}")
    return content if isinstance(content, dict) else {}


# DynamoDB

_SINGLE = {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"}
_BATCHES = {"BatchGetItem", "BatchWriteItem"}
_TRANSACTIONS = {"TransactWriteItems", "TransactGetItems"}
_IN_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_PARTIQL = re.compile(
    r"\s*(?:(?P<u>UPDATE)|(?P<i>INSERT\s+INTO)|(?P<d>DELETE\s+FROM)|(?P<s>SELECT\b.*?\bFROM))\s+"
    r'"?(?P<table>[\w.-]+)"?(?:\."?(?P<index>[\w.-]+)"?)?',
    re.IGNORECASE | re.DOTALL,
)
_PARTIQL_ACTIONS = {
    "u": "PartiQLUpdate",
    "i": "PartiQLInsert",
    "d": "PartiQLDelete",
    "s": "PartiQLSelect",
}


def _dynamodb(call: Call, place: Place) -> Iterator[Right]:
    for action, table, index in sorted(set(_of_dynamodb(call)), key=str):
        resource = f"table/{table}/index/{index}" if index else f"table/{table}"
        yield Right(f"dynamodb:{action}", place.arn("dynamodb", resource))


def _of_dynamodb(call: Call) -> Iterator[tuple[str, str, str | None]]:
    """Triples of an action, a table, and an index of it or None."""
    operation, body = call.operation, _json(call)
    if operation in _SINGLE:
        yield operation, body["TableName"], body.get("IndexName")
    elif operation in _BATCHES:
        yield from ((operation, table, None) for table in body["RequestItems"])
    elif operation in _TRANSACTIONS:
        for item in body["TransactItems"]:
            ((kind, content),) = item.items()
            yield _IN_TRANSACTION[kind], content["TableName"], None
    elif operation in ("ExecuteStatement", "BatchExecuteStatement"):
        for statement in body.get("Statements", [body]):
            yield _of_partiql(statement["Statement"])


def _of_partiql(text: str) -> tuple[str, str, str | None]:
    match = _PARTIQL.match(text)
    if match is None:
        raise UnknownCallError(f"infra/local/rights.py does not understand the statement {text}")
    kind = next(kind for kind in _PARTIQL_ACTIONS if match[kind])
    return _PARTIQL_ACTIONS[kind], match["table"], match["index"]


# SQS

_SQS = {
    "SendMessage": "SendMessage",
    "SendMessageBatch": "SendMessage",
    "ReceiveMessage": "ReceiveMessage",
    "DeleteMessage": "DeleteMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibility": "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "GetQueueUrl": "GetQueueUrl",
    "GetQueueAttributes": "GetQueueAttributes",
}


def _sqs(call: Call, place: Place) -> Iterator[Right]:
    if action := _SQS.get(call.operation):
        body = _json(call)
        name = body.get("QueueName") or body["QueueUrl"].rpartition("/")[2]
        yield Right(f"sqs:{action}", place.arn("sqs", name))


# SES and SNS

_ADDRESS = re.compile(r"<([^<>]*)>\s*$")


def _ses(call: Call, place: Place) -> Iterator[Right]:
    """The identity is the address here; on AWS it may be its domain, if only that is verified."""
    if call.operation != "SendEmail":
        return
    body = _json(call)
    sender = body["FromEmailAddress"]
    written = _ADDRESS.search(sender)
    address = written[1] if written else sender
    yield Right("ses:SendEmail", place.arn("ses", f"identity/{address}"))
    if configuration := body.get("ConfigurationSetName"):
        yield Right("ses:SendEmail", place.arn("ses", f"configuration-set/{configuration}"))


def _sns(call: Call, place: Place) -> Iterator[Right]:  # noqa: ARG001  # ARNs stand in the request
    if call.operation == "Publish":
        sent = parse_qs(call.body.decode() if isinstance(call.body, bytes) else call.body)
        (target,) = sent.get("TopicArn") or sent.get("TargetArn") or sent["PhoneNumber"]
        yield Right("sns:Publish", target)


# Step Functions, KMS, Systems Manager, API Gateway's connections


def _states(call: Call, place: Place) -> Iterator[Right]:  # noqa: ARG001  # ARNs stand in the request
    body = _json(call)
    if call.operation == "StartExecution":
        yield Right("states:StartExecution", body["stateMachineArn"])
    elif call.operation in ("DescribeExecution", "StopExecution"):
        yield Right(f"states:{call.operation}", body["executionArn"])


def _kms(call: Call, place: Place) -> Iterator[Right]:
    if call.operation not in ("Decrypt", "Encrypt", "GenerateDataKey"):
        return
    body = _json(call)
    arn, aliases = place.key_of(body["KeyId"])
    context = {("kms:ResourceAliases", aliases)}
    if body["KeyId"].startswith("alias/"):
        context.add(("kms:RequestAlias", (body["KeyId"],)))
    for name, value in body.get("EncryptionContext", {}).items():
        context.add((f"kms:EncryptionContext:{name}", (value,)))
    yield Right(f"kms:{call.operation}", arn, frozenset(context))


def _ssm(call: Call, place: Place) -> Iterator[Right]:
    body = _json(call)
    one = {"GetParameter": "Name", "GetParametersByPath": "Path"}.get(call.operation)
    names = [body[one]] if one else body["Names"] if call.operation == "GetParameters" else []
    for name in names:
        yield Right(
            f"ssm:{call.operation}", place.arn("ssm", f"parameter/{name.removeprefix('/')}")
        )


def _connections(call: Call, place: Place) -> Iterator[Right]:
    """The stage in the ARN is the API's own, `api` in .chalice/config.json."""
    connection = unquote(urlsplit(call.url).path).partition("/@connections/")[2]
    resource = f"local/api/{call.method}/@connections/{connection}"
    yield Right("execute-api:ManageConnections", place.arn("execute-api", resource))


_SERVICES: dict[str, Callable[[Call, Place], Iterator[Right]]] = {
    "dynamodb": _dynamodb,
    "sqs": _sqs,
    "sesv2": _ses,
    "sns": _sns,
    "stepfunctions": _states,
    "kms": _kms,
    "ssm": _ssm,
    "apigatewaymanagementapi": _connections,
}
