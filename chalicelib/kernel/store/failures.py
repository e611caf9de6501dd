"""What an error of the store means: a failed condition, an outage that may pass, or a mistake."""

from http import HTTPStatus

from pynamodb.exceptions import PynamoDBException

from chalicelib.kernel.aws.errors import InvalidCall, SdkError, ServiceError, code_of, status_of

TRANSIENT_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingException",
        "ThrottlingError",
        "InternalServerError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "TransactionInProgressException",
        "TransactionConflict",
        "TransactionConflictException",
    }
)


def is_transient(error: BaseException) -> bool:
    """True when the store was down, slow or throttled: the same call may succeed later."""
    cause = error.cause if isinstance(error, PynamoDBException) else error
    if isinstance(cause, ServiceError):
        status = status_of(cause)
        return code_of(cause) in TRANSIENT_CODES or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(cause, SdkError) and not isinstance(cause, InvalidCall)


def condition_failed(error: PynamoDBException) -> bool:
    """True when the condition was not met, False for an error of another kind or no answer.

    pynamodb's `cause_response_code` itself fails when there was no answer at all.
    """
    cause = error.cause
    return isinstance(cause, ServiceError) and code_of(cause) == "ConditionalCheckFailedException"
