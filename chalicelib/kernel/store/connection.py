"""One connection to DynamoDB for all models, on the shared botocore session (`aws/clients.py`).

pynamodb alone would create a session and a client for each table, which doubles a cold start.
"""

import itertools
import threading
from functools import cache
from typing import Any

from pynamodb.connection import Connection

from chalicelib.kernel import aws
from chalicelib.kernel.aws.errors import ServiceError, code_of
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import contention

_MET_TRANSACTION = "TransactionConflictException"


class SharedConnection(Connection):
    """pynamodb's connection on the shared session."""

    def __init__(self) -> None:
        tries, connect_seconds, read_seconds = aws.LIMITS["dynamodb"]
        super().__init__(
            region=aws.session().get_config_variable("region"),
            connect_timeout_seconds=connect_seconds,
            read_timeout_seconds=read_seconds,
            max_retry_attempts=tries - 1,
            retry_configuration={"total_max_attempts": tries, "mode": "standard"},
            max_pool_connections=max(10, settings.worker_threads),
        )

    @property
    def session(self) -> Any:
        return aws.session()

    @property
    def client(self) -> Any:
        """The client of `aws/clients.py`; one made by pynamodb would lack the fixed user agent."""
        return aws.client("dynamodb")

    def dispatch(self, operation_name: str, operation_kwargs: dict[str, Any]) -> dict[str, Any]:
        """Makes the call. pynamodb would also request the consumed capacity, to log it.

        A write of a single item that meets a transaction is repeated, and what BatchWriteItem has
        left undone because of one, or of a throttle. pynamodb would do the latter without a pause.
        """
        for tries in itertools.count(1):
            try:
                answer = self._make_api_call(operation_name, operation_kwargs)
            except ServiceError as error:
                if code_of(error) != _MET_TRANSACTION or not contention.wait_after(tries):
                    raise
                continue
            if answer.get("LastEvaluatedKey") == {}:  # the end, by the API's reference of Query
                del answer["LastEvaluatedKey"]
            left = answer.get("UnprocessedItems")
            if not left or not contention.wait_after(tries):
                return answer
            operation_kwargs = {**operation_kwargs, "RequestItems": left}
        raise AssertionError("unreachable")


_LOCK = threading.Lock()
_one = cache(SharedConnection)


def connection() -> SharedConnection:
    """The one connection, made when first used so that importing models needs no session."""
    with _LOCK:  # a cache alone would let two threads make one each
        return _one()
