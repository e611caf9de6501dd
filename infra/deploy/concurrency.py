"""How many invocations are kept free for the functions that a person waits for.

Busy queues would otherwise take all of the account's concurrency, and the API would answer 429. AWS
wants 100 executions to stay unreserved. In an account that has too few for this, as new ones have,
nothing is reserved, and the doctor says which quota to ask for.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

from collections.abc import Mapping

from botocore.exceptions import ClientError

from chalicelib.kernel.settings import Settings, read
from infra import policies
from infra.deploy.account import Account, code

UNRESERVED = 100  #: executions that AWS does not let an account reserve


def wanted(settings: Mapping[str, str]) -> dict[str, int]:
    """How many executions are to be kept free, by function; 0 leaves a function out."""
    found = read(Settings, settings)
    numbers = {"api_handler": found.reserved_api, "authorize": found.reserved_authorize}
    return {function: number for function, number in numbers.items() if number}


def reserved(account: Account, settings: Mapping[str, str]) -> dict[str, int]:
    """What is wanted, if the account has room for all of it; else nothing."""
    numbers = wanted(settings)
    return numbers if lacking(account, numbers) <= 0 else {}


def lacking(account: Account, numbers: Mapping[str, int]) -> int:
    """How many executions the account lacks to reserve these; 0 or less if it has enough."""
    limit = account.client("lambda").get_account_settings()["AccountLimit"]
    free = int(limit["UnreservedConcurrentExecutions"])
    free += sum(of_function(account, function) for function in numbers)
    return sum(numbers.values()) + UNRESERVED - free


def of_function(account: Account, function: str) -> int:
    """What is reserved for the function now."""
    name = policies.lambda_name(function, account.stage)
    try:
        found = account.client("lambda").get_function_concurrency(FunctionName=name)
    except ClientError as error:
        if code(error) == "ResourceNotFoundException":
            return 0
        raise
    return int(found.get("ReservedConcurrentExecutions", 0))
