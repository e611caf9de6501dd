"""An error as a service would send it, parsed by botocore's own parsers."""

import json
from http import HTTPStatus
from io import BytesIO
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped, unused-ignore]
from botocore.endpoint import convert_to_response_dict  # type: ignore[import-untyped, unused-ignore]

REQUEST_ID = "00000000-0000-4000-8000-000000000000"


class Error(NamedTuple):
    code: str
    status: int
    message: str

    @property
    def party(self) -> str:
        """Who caused the error, in the terms of SQS and SNS."""
        return "Receiver" if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Sender"


UNAVAILABLE = Error("ServiceUnavailable", 503, "Service is unavailable. Please try again.")

_THROTTLING = {
    "dynamodb": Error("ThrottlingException", 400, "Rate of requests exceeds what is allowed"),
    "sqs": Error("RequestThrottled", 403, "The request was denied due to request throttling."),
    "sesv2": Error("TooManyRequestsException", 429, "Too many requests"),
    "ses": Error("Throttling", 400, "Maximum sending rate exceeded."),
    "sns": Error("Throttling", 400, "Rate exceeded"),
    "stepfunctions": Error("ThrottlingException", 400, "Rate exceeded"),
    "kms": Error(
        "ThrottlingException", 400, "You have exceeded the rate at which you may call KMS"
    ),
    "ssm": Error("ThrottlingException", 400, "Rate exceeded"),
}


def throttling(boto_service: str) -> Error:
    return _THROTTLING[boto_service]


def respond(error: Error, endpoint: Any, operation_model: Any) -> Any:
    """What `Endpoint._do_get_response` returns for this error: ((response, parsed), None)."""
    headers, body = _encode(error, operation_model.service_model)
    response = AWSResponse(endpoint.host, error.status, headers, _Raw(body))
    details = convert_to_response_dict(response, operation_model)
    parser = endpoint._response_parser_factory.create_parser(
        operation_model.service_model.resolved_protocol
    )
    parsed = parser.parse(details, operation_model.output_shape)
    endpoint._add_modeled_error_fields(details, parsed, operation_model, parser)
    return (response, parsed), None


class _Raw(BytesIO):
    """The part of urllib3's response that AWSResponse uses."""

    def stream(self, **_: Any) -> Any:
        yield self.read()


def _encode(error: Error, service_model: Any) -> tuple[dict[str, str], bytes]:
    headers = {"x-amzn-requestid": REQUEST_ID}
    protocol = service_model.resolved_protocol
    if protocol == "query":
        return headers | {"content-type": "text/xml"}, _xml(error)
    if protocol == "rest-json":
        headers |= {"content-type": "application/json", "x-amzn-errortype": error.code}
        return headers, json.dumps({"message": error.message}).encode()
    headers["content-type"] = "application/x-amz-json-1.0"
    if "awsQueryCompatible" in service_model.metadata:
        headers["x-amzn-query-error"] = f"{error.code};{error.party}"
    kind = f"{service_model.metadata['targetPrefix']}#{error.code}"
    return headers, json.dumps({"__type": kind, "message": error.message}).encode()


def _xml(error: Error) -> bytes:
    return (
        f"<ErrorResponse><Error><Type>{error.party}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    ).encode()
