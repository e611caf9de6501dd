"""What an error of the store means: a failed condition, an outage that may pass, or a mistake."""

from http import HTTPStatus

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pynamodb.exceptions import PynamoDBException

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
    if isinstance(cause, ClientError):
        code = str(cause.response.get("Error", {}).get("Code", ""))
        status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code in TRANSIENT_CODES or int(status) >= HTTPStatus.INTERNAL_SERVER_ERROR
    # A call that botocore itself rejects would be rejected again.
    return isinstance(cause, BotoCoreError) and not isinstance(cause, ParamValidationError)


def condition_failed(error: PynamoDBException) -> bool:
    """True when the condition was not met, False for an error of another kind or no answer.

    pynamodb's `cause_response_code` itself fails when there was no answer at all.
    """
    cause = error.cause
    if not isinstance(cause, ClientError):
        return False
    return bool(cause.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException")
