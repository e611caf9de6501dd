"""What an answer of SES or SNS means for a job: it waits, fails for good, or is unconfirmed.

Neither service has an idempotency token, so after a lost answer nobody knows whether the message
was sent. Error names: https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html and
https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from chalicelib.kernel.errors import AppError, Retry, Unconfirmed

#: An outage: nothing was sent, and the job is not at fault.
DOWN_CODES = frozenset(
    {
        "AccountSuspendedException",
        "SendingPausedException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
#: A limit: nothing was sent, and the job is not at fault.
THROTTLED_CODES = frozenset(
    {
        "KMSThrottlingException",
        "LimitExceededException",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
#: The service will never take this message.
REFUSED_CODES = frozenset(
    {
        "BadRequestException",
        "InvalidParameter",
        "InvalidParameterException",
        "InvalidParameterValue",
        "MessageRejected",
        "OptedOut",
        "ParameterValueInvalid",
        "ValidationException",
    }
)


class Down(Retry):
    """The provider is down: nothing was sent, and other messages need not be tried."""


class Refused(AppError):
    """The provider refuses this message for good"""

    STATUS = 422


def send(service: str, call: Callable[[], dict[str, Any]]) -> str:
    """Sends a message by `call` and returns the provider's id of it.

    Raises Retry (not sent, and not the job's fault), Refused (never sent), Unconfirmed (perhaps
    sent), or what the SDK raised (not sent, uses up an attempt).
    """
    try:
        return str(call()["MessageId"])
    except ClientError as error:
        raise _error_for(service, error.response) or error from error
    except (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError) as error:
        raise Down(f"{service} cannot be reached: {type(error).__name__}") from error
    except BotoCoreError as error:
        raise Unconfirmed(f"{service} gave no answer: {type(error).__name__}") from error


def _error_for(service: str, answer: dict[str, Any]) -> Exception | None:
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in DOWN_CODES or status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Down(f"{service}: {code}")
    if code in THROTTLED_CODES or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Retry(f"{service}: {code}")
    if code == "MessageRejected" and "not verified" in answer["Error"].get("Message", ""):
        # Operators must verify the sender first, and in SES's sandbox the recipient too.
        return Retry(f"{service}: the sender or its region is not verified")
    if code in REFUSED_CODES:
        return Refused(f"{service} refused the message: {code}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unconfirmed(f"{service} failed: {code}")
    return None
