"""Records in DynamoDB, and transactions that say which error a failed condition means.

All models share one connection over the one botocore session (`aws.py`). pynamodb would otherwise
make a session and a client of its own for each table, which doubles a cold start.
"""

import random
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Self, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection, TableConnection
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.kernel import aws
from chalicelib.kernel.errors import AppError, Conflict, Unavailable
from chalicelib.kernel.settings import settings

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
_CONFLICT_TRIES = 3
R = TypeVar("R", bound="Record")
Key = dict[str, Any] | None  #: where a listing goes on, in DynamoDB's form


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
        """The client of `aws.py`: pynamodb's own would lack the fixed user agent."""
        return aws.client("dynamodb")


_connection: SharedConnection | None = None


def connection() -> SharedConnection:
    """The one connection, made at its first use so that importing models costs no session."""
    global _connection  # noqa: PLW0603  one per process, like botocore's default session
    if _connection is None:
        _connection = SharedConnection()
    return _connection


class Record(Model):
    """Base of all models. Declare the keys and indexes once per table, in one abstract subclass."""

    @classmethod
    def _get_connection(cls) -> TableConnection:
        table = cls.__dict__.get("_connection")
        if table is None:
            table = super()._get_connection()
            if table.table_name not in connection()._tables:
                connection().add_meta_table(table.get_meta_table())
            table.connection = connection()
            cls._connection = table
        return table


class Keyed(Record):
    """A record under the keys that all our tables have."""

    tenant = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class DueIndex(GlobalSecondaryIndex[Any]):
    """Waiting jobs by the time at which the sweep pushes them; sparse and sharded."""

    class Meta:
        index_name = "due"
        projection = IncludeProjection(["queue", "type", "due_step_seconds"])

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = NumberAttribute(range_key=True)


class RecipientIndex(GlobalSecondaryIndex[Any]):
    """Notifications by recipient, in the order of creation."""

    class Meta:
        index_name = "recipient"
        projection = AllProjection()

    recipient_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class KernelRecord(Keyed):
    """Base of the records in the kernel's table: jobs, tenants."""

    class Meta:
        table_name = settings.resource("kernel")

    expires_at = NumberAttribute(null=True)  #: epoch seconds; DynamoDB deletes some days later
    due = DueIndex()
    by_recipient = RecipientIndex()


def is_transient(error: BaseException) -> bool:
    """True when the store was down, slow or throttled, so that the same call may succeed later."""
    cause = error.__cause__ if isinstance(error, PynamoDBException) else error
    if isinstance(cause, ClientError):
        code = str(cause.response.get("Error", {}).get("Code", ""))
        status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code in TRANSIENT_CODES or int(status) >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(cause, BotoCoreError)


def page(
    model: type[R], hash_key: str, within: Condition | None = None, **options: Any
) -> tuple[list[R], Key]:
    """One Query: (records, key to read on from or None). Options are those of pynamodb's query."""
    found = model.query(hash_key, within, **options).page_iter
    return [model.from_raw_data(item) for item in next(found)["Items"]], found.last_evaluated_key


def key_of(record: Record, index: str | None) -> Key:
    """The key after which a listing that ends with `record` goes on."""
    names = connection().get_meta_table(record.Meta.table_name).get_key_names(index)
    raw = record.serialize()
    return {name: raw[name] for name in names}


class Transaction:
    """All or nothing: up to 100 actions on different records in one TransactWriteItems.

    Each action carries the error that its failed condition means. As a context manager it commits
    at the end; `commit` may also be called by whoever was handed the transaction. A lost answer is
    safe: the SDK repeats the call under one ClientRequestToken, which DynamoDB executes once.
    """

    def __init__(self) -> None:
        self._write = TransactWrite(connection=connection())
        # pynamodb sends checks, deletes, puts, updates, in this order: reasons come back likewise.
        self._errors: dict[str, list[AppError | None]] = {
            kind: [] for kind in ("check", "delete", "put", "update")
        }

    def check(
        self, model: type[Record], key: tuple[str, str], condition: Condition, otherwise: AppError
    ) -> None:
        """The record under `key` must meet `condition`, or the whole fails with `otherwise`."""
        self._write.condition_check(model, key[0], key[1], condition=condition)
        self._errors["check"].append(otherwise)

    def create(self, record: Keyed, otherwise: AppError | None = None) -> None:
        """Saves a record that must not exist yet."""
        model = type(record)
        self.save(record, model.sk.does_not_exist(), otherwise)

    def save(
        self,
        record: Record,
        condition: Condition | None = None,
        otherwise: AppError | None = None,
    ) -> None:
        self._write.save(record, condition=condition)
        self._errors["put"].append(otherwise)

    def update(
        self,
        record: Record,
        actions: Sequence[Action],
        condition: Condition | None = None,
        otherwise: AppError | None = None,
    ) -> None:
        self._write.update(record, actions=list(actions), condition=condition)
        self._errors["update"].append(otherwise)

    def delete(
        self,
        record: Record,
        condition: Condition | None = None,
        otherwise: AppError | None = None,
    ) -> None:
        self._write.delete(record, condition=condition)
        self._errors["delete"].append(otherwise)

    def commit(self) -> None:
        """Writes all or nothing.

        Raises the error of the first action whose condition failed, `Unavailable` when the store
        is down or throttled. A collision with another transaction is tried again, since DynamoDB
        refuses one of two transactions that meet on a record even when both could succeed.
        """
        for attempt in range(1, _CONFLICT_TRIES + 1):
            try:
                self._write._commit()
                return
            except TransactWriteError as error:
                self._explain(error)
                if attempt == _CONFLICT_TRIES:
                    raise Unavailable("The records are busy; try again") from error
                time.sleep(random.uniform(0.01, 0.05) * attempt)

    def _explain(self, error: TransactWriteError) -> None:
        """Raises what `error` means; returns when the transaction met another one."""
        expected = [item for kind in self._errors.values() for item in kind]
        for reason, otherwise in zip(error.cancellation_reasons, expected, strict=False):
            if reason is not None and reason.code == "ConditionalCheckFailed":
                raise (otherwise or Conflict()) from error
        codes = {reason.code for reason in error.cancellation_reasons if reason is not None}
        if "TransactionConflict" in codes:
            return
        if is_transient(error) or codes & TRANSIENT_CODES:
            raise Unavailable("The store cannot take this now") from error
        raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        if kind is None:
            self.commit()
