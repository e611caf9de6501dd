"""What an answer of SES or SNS means for a job: it waits, fails for good, or is unconfirmed.

Neither service has an idempotency token, so after a lost answer nobody knows whether the message
was sent. Error names: https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html and
https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from chalicelib.kernel.aws.errors import NOT_REACHED, SdkError, ServiceError, code_of, status_of
from chalicelib.kernel.errors import AppError, Retry, Unconfirmed

#: An outage, or a state of our account that an operator has to end: nothing was sent, the job is
#: not at fault, and the next message would fare the same.
DOWN_CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AccountSendingPausedException",
        "AccountSuspendedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "ConfigurationSetDoesNotExist",
        "ConfigurationSetDoesNotExistException",
        "ConfigurationSetSendingPausedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidSignatureException",
        "MailFromDomainNotVerifiedException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "NotFoundException",  # SES: of the configuration set
        "OptInRequired",
        "RequestExpired",
        "SendingPausedException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
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
    """The provider is down, or takes nothing of our account: other messages need not be tried."""


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
    except ServiceError as error:
        raise _error_for(service, error) or error from error
    except NOT_REACHED as error:
        raise Down(f"{service} cannot be reached: {type(error).__name__}") from error
    except SdkError as error:
        raise Unconfirmed(f"{service} gave no answer: {type(error).__name__}") from error


def _error_for(service: str, error: ServiceError) -> Exception | None:
    code, status = code_of(error), status_of(error)
    if code in DOWN_CODES or status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Down(f"{service}: {code}")
    if code in THROTTLED_CODES or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Retry(f"{service}: {code}")
    if code == "MessageRejected" and "not verified" in str(error):
        # Operators must verify the sender first, and in SES's sandbox the recipient too.
        return Retry(f"{service}: the sender or its region is not verified")
    if code in REFUSED_CODES:
        return Refused(f"{service} refused the message: {code}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unconfirmed(f"{service} failed: {code}")
    return None
