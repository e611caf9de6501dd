"""What API Gateway answers by itself, in the form of all our errors, and how much it lets through.

Templates of API Gateway know a few variables and no logic, so these bodies hold no times and no
faults. `X-Request-Id` is API Gateway's own. The local cloud answers likewise (infra/local/gateway).
"""

import json
from typing import Any

from infra.deploy.account import Account

RATE_PER_SECOND = 200  #: of all clients together; the account's own limit is 10,000
BURST = 400

#: (type, status, detail): https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
RESPONSES: tuple[tuple[str, int, str], ...] = (
    ("UNAUTHORIZED", 401, "A valid bearer token is needed"),
    ("ACCESS_DENIED", 403, "This account has no access"),
    ("MISSING_AUTHENTICATION_TOKEN", 404, "There is nothing at this path"),
    ("REQUEST_TOO_LARGE", 413, "At most 10 MB"),
    ("UNSUPPORTED_MEDIA_TYPE", 415, "This content type is not taken"),
    ("THROTTLED", 429, "Too many requests; try again in a moment"),
    ("QUOTA_EXCEEDED", 429, "Too many requests; try again later"),
    ("AUTHORIZER_FAILURE", 503, "Nobody can be signed in just now"),
    ("AUTHORIZER_CONFIGURATION_ERROR", 503, "Nobody can be signed in just now"),
    ("INTEGRATION_TIMEOUT", 504, "No answer in time"),
    ("INTEGRATION_FAILURE", 503, "The service cannot answer now"),
)
#: Whatever else the gateway says: its own status, its own words.
OTHERS = ("DEFAULT_4XX", "DEFAULT_5XX")
_PHRASES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_MORE: dict[str, dict[str, str]] = {
    "UNAUTHORIZED": {"WWW-Authenticate": "Bearer"},
    "THROTTLED": {"Retry-After": "1"},
    "QUOTA_EXCEEDED": {"Retry-After": "60"},
    "AUTHORIZER_FAILURE": {"Retry-After": "5"},
    "AUTHORIZER_CONFIGURATION_ERROR": {"Retry-After": "5"},
    "INTEGRATION_FAILURE": {"Retry-After": "5"},
}
_EXPOSED = "ETag,Link,Retry-After,Location,Idempotent-Replayed,X-Request-Id,Server-Timing"


def wanted(origins: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every gateway response, as PutGatewayResponse takes it."""
    known = [_response(kind, status, detail, origins) for kind, status, detail in RESPONSES]
    return known + [_response(kind, None, None, origins) for kind in OTHERS]


def _response(
    kind: str, status: int | None, detail: str | None, origins: tuple[str, ...]
) -> dict[str, Any]:
    body = {
        "type": "about:blank",
        "title": _PHRASES[status] if status else "The request failed",
        **({"status": status} if status else {}),
        "detail": detail or "@message@",
        "request_id": "$context.requestId",
    }
    # $context.error.messageString brings its own quotes.
    text = json.dumps(body).replace('"@message@"', "$context.error.messageString")
    headers = {
        "Content-Type": "application/problem+json",
        "Access-Control-Expose-Headers": _EXPOSED,
        **_origin(origins),
        **_MORE.get(kind, {}),
    }
    parameters = {f"gatewayresponse.header.{name}": f"'{value}'" for name, value in headers.items()}
    parameters["gatewayresponse.header.X-Request-Id"] = "context.requestId"
    return {
        "responseType": kind,
        **({"statusCode": str(status)} if status else {}),
        "responseParameters": parameters,
        "responseTemplates": {"application/json": text},
    }


def _origin(origins: tuple[str, ...]) -> dict[str, str]:
    """Of several origins the gateway can name only one; without credentials `*` says all."""
    if not origins:
        return {}
    return {"Access-Control-Allow-Origin": origins[0] if len(origins) == 1 else "*"}


def complete(account: Account, api_id: str, api_stage: str, origins: tuple[str, ...]) -> list[str]:
    """Sets what differs, and publishes it; what was changed."""
    client = account.client("apigateway")
    changed = []
    there = {
        each["responseType"]: each
        for each in client.get_gateway_responses(restApiId=api_id, limit=500)["items"]
    }
    for response in wanted(origins):
        if not _same(there.get(response["responseType"], {}), response):
            client.put_gateway_response(restApiId=api_id, **response)
            changed.append(response["responseType"])
    if changed:
        client.create_deployment(restApiId=api_id, stageName=api_stage)
        changed = [f"{len(changed)} answers of the gateway"]
    return changed + _throttle(client, api_id, api_stage)


def _same(there: dict[str, Any], wanted_: dict[str, Any]) -> bool:
    return all(there.get(name) == value for name, value in wanted_.items())


def _throttle(client: Any, api_id: str, api_stage: str) -> list[str]:
    stage = client.get_stage(restApiId=api_id, stageName=api_stage)
    now = stage.get("methodSettings", {}).get("*/*", {})
    if (now.get("throttlingRateLimit"), now.get("throttlingBurstLimit")) == (
        RATE_PER_SECOND,
        BURST,
    ):
        return []
    client.update_stage(
        restApiId=api_id,
        stageName=api_stage,
        patchOperations=[
            {"op": "replace", "path": f"/*/*/throttling/{name}", "value": str(value)}
            for name, value in (("rateLimit", RATE_PER_SECOND), ("burstLimit", BURST))
        ],
    )
    return [f"at most {RATE_PER_SECOND} requests a second"]
