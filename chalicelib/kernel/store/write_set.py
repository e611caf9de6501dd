"""Transactions in which every condition names the error that its failure means."""

import itertools
import uuid
from collections.abc import Sequence
from typing import Any, Self

import msgspec
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.kernel.errors import AppError, Conflict, Unavailable
from chalicelib.kernel.store import contention
from chalicelib.kernel.store.connection import connection
from chalicelib.kernel.store.failures import TRANSIENT_CODES, is_transient
from chalicelib.kernel.store.records import Keyed


class _Action(msgspec.Struct, frozen=True):
    """One action of a transaction, and the error that its failed condition means."""

    kind: str  #: name of TransactWrite's method; one of _SENT_ORDER
    arguments: tuple[Any, ...]
    condition: Condition | None
    error: AppError | None


#: pynamodb sends actions grouped by kind in this order, and DynamoDB's reasons come back in it.
_SENT_ORDER = ("condition_check", "delete", "save", "update")


class WriteSet:
    """Up to 100 actions on different records in one TransactWriteItems: all of them or none.

    Each action comes with the error that its failed condition means. As a context manager it
    commits at the end; code that was passed the transaction may also call `commit`. A lost answer
    is safe: the SDK repeats the call under one ClientRequestToken, which DynamoDB executes once.
    """

    def __init__(self) -> None:
        self._actions: list[_Action] = []
        self.failed: list[AppError] = []  #: errors of all failed conditions, after a commit failed

    def check(
        self, model: type[Keyed], key: tuple[str, str], condition: Condition, error: AppError
    ) -> None:
        """Requires the record with this key to meet `condition`, or the commit raises `error`."""
        self._add("condition_check", (model, *key), condition, error)

    def create(self, record: Keyed, error: AppError | None = None) -> None:
        """Saves a record; the commit raises `error` when it exists already."""
        self.save(record, type(record).sk.does_not_exist(), error)

    def save(
        self,
        record: Keyed,
        condition: Condition | None = None,
        error: AppError | None = None,
    ) -> None:
        self._add("save", (record,), condition, error)

    def update(
        self,
        record: Keyed,
        actions: Sequence[Action],
        condition: Condition | None = None,
        error: AppError | None = None,
    ) -> None:
        # Not copied: the caller may add to the list until the commit.
        self._add("update", (record, actions), condition, error)

    def delete(
        self,
        record: Keyed,
        condition: Condition | None = None,
        error: AppError | None = None,
    ) -> None:
        self._add("delete", (record,), condition, error)

    def _add(
        self,
        kind: str,
        arguments: tuple[Any, ...],
        condition: Condition | None,
        error: AppError | None,
    ) -> None:
        self._actions.append(_Action(kind, arguments, condition, error))

    def commit(self) -> None:
        """Writes everything or nothing.

        Raises the error of the first action whose condition failed (by `PRIORITY`; all are in
        `failed`), and Unavailable when the store is down or throttled. Of two transactions that
        meet on a record DynamoDB refuses one, even when both could succeed; that one is tried
        again, under the same token: an earlier try may have been executed and its answer lost.
        """
        token = str(uuid.uuid4())
        for tries in itertools.count(1):
            try:
                self._write(token)
                return
            except TransactWriteError as error:
                self._explain(error)
                if not contention.wait_after(tries):
                    raise Unavailable("The records are busy; try again") from error

    def _write(self, token: str) -> None:
        if not self._actions:  # DynamoDB refuses an empty transaction
            return
        write = TransactWrite(client_request_token=token, connection=connection())
        for action in self._actions:
            options: dict[str, Any] = {"condition": action.condition}
            if action.error is not None and action.error.RETURNS_EXISTING:
                options["return_values"] = "ALL_OLD"
            getattr(write, action.kind)(*action.arguments, **options)
        write._commit()

    def _explain(self, error: TransactWriteError) -> None:
        """Raises the error that `error` means; returns when the transaction met another one."""
        sent = [action for kind in _SENT_ORDER for action in self._actions if action.kind == kind]
        failed: list[AppError] = []
        for reason, action in zip(error.cancellation_reasons, sent, strict=False):
            if reason is not None and reason.code == "ConditionalCheckFailed":
                failed.append(_error_of(action, reason.raw_item))
        self.failed = failed
        if failed:
            raise min(failed, key=lambda failure: failure.PRIORITY) from error
        codes = {reason.code for reason in error.cancellation_reasons if reason is not None}
        if "TransactionConflict" in codes:
            return
        if is_transient(error) or codes & TRANSIENT_CODES:
            raise Unavailable("The store cannot accept this now; try again") from error
        raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        if kind is None:
            self.commit()


def _error_of(action: _Action, raw_item: dict[str, Any] | None) -> AppError:
    """The action's error, which receives the existing record if it needs it."""
    error = action.error or Conflict()
    if raw_item:
        error.on_conflict(raw_item)
    return error
