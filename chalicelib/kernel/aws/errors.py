"""What a call to AWS raises, under names of ours: nothing outside this folder imports the SDK."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

#: The service answered with an error; `code_of` says which one.
ServiceError = ClientError
#: The SDK raised it: mostly there was no answer, and the call may have been carried out.
SdkError = BotoCoreError
#: The SDK refused to send such a call: it would refuse it again.
InvalidCall = ParamValidationError
#: A call failed, in whatever way.
CALL_FAILED = (BotoCoreError, ClientError)
#: The service was never reached: the call was certainly not carried out.
NOT_REACHED = (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError)


def code_of(error: ClientError) -> str:
    """AWS's name of the error, such as `ConditionalCheckFailedException`; empty without one."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The HTTP status of the answer; 0 when there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
