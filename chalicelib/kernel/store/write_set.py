"""Transactions that say which error a failed condition means."""

import random
import time
import uuid
from collections.abc import Sequence
from typing import Any, Self

import msgspec
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.kernel.errors import AppError, Conflict, Unavailable
from chalicelib.kernel.store.connection import connection
from chalicelib.kernel.store.failures import TRANSIENT_CODES, is_transient
from chalicelib.kernel.store.records import Keyed

_CONFLICT_TRIES = 3


class _Action(msgspec.Struct, frozen=True):
    """One action of a transaction, and the error that its failed condition means."""

    kind: str  #: check, delete, save or update, as TransactWrite's methods are called
    arguments: tuple[Any, ...]
    condition: Condition | None
    error: AppError | None


#: pynamodb sends actions grouped by kind, in this order; reasons come back likewise.
_SENT_ORDER = ("condition_check", "delete", "save", "update")


class WriteSet:
    """All or nothing: up to 100 actions on different records in one TransactWriteItems.

    Each action carries the error that its failed condition means. As a context manager it commits
    at the end; `commit` may also be called by whoever was handed the transaction. A lost answer is
    safe: the SDK repeats the call under one ClientRequestToken, which DynamoDB executes once.
    """

    def __init__(self) -> None:
        self._actions: list[_Action] = []
        self.failed: list[AppError] = []  #: every failed condition's error, after a commit failed

    def check(
        self, model: type[Keyed], key: tuple[str, str], condition: Condition, error: AppError
    ) -> None:
        """The record under `key` must meet `condition`, or the whole fails with `otherwise`."""
        self._add("condition_check", (model, *key), condition, error)

    def create(self, record: Keyed, error: AppError | None = None) -> None:
        """Saves a record that must not exist yet."""
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
        # Kept as given: a list may still grow until the commit.
        self._add("update", (record, actions), condition, error)

    def drop(self, error: AppError) -> None:
        """Takes out the actions that would have failed with this very error."""
        self._actions = [each for each in self._actions if each.error is not error]

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
        """Writes all or nothing.

        Raises the error of the first action whose condition failed (by `PRIORITY`; all are in
        `failed`), `Unavailable` when the store is down or throttled. A collision with another
        transaction is tried again, since DynamoDB refuses one of two transactions that meet on a
        record even when both could succeed: under the same token, since what was refused at last
        may have been executed at first, when that answer was lost.
        """
        token = str(uuid.uuid4())
        for attempt in range(1, _CONFLICT_TRIES + 1):
            try:
                self._write(token)
                return
            except TransactWriteError as error:
                self._explain(error)
                if attempt == _CONFLICT_TRIES:
                    raise Unavailable("The records are busy; try again") from error
                time.sleep(random.uniform(0.01, 0.05) * attempt)

    def _write(self, token: str) -> None:
        if not self._actions:  # DynamoDB refuses an empty one, and there is nothing to lose
            return
        write = TransactWrite(client_request_token=token, connection=connection())
        for action in self._actions:
            options: dict[str, Any] = {"condition": action.condition}
            if action.error is not None and action.error.RETURNS_EXISTING:
                options["return_values"] = "ALL_OLD"
            getattr(write, action.kind)(*action.arguments, **options)
        write._commit()

    def _explain(self, error: TransactWriteError) -> None:
        """Raises what `error` means; returns when the transaction met another one."""
        sent = [each for kind in _SENT_ORDER for each in self._actions if each.kind == kind]
        failed: list[AppError] = []
        for reason, action in zip(error.cancellation_reasons, sent, strict=False):
            if reason is not None and reason.code == "ConditionalCheckFailed":
                failed.append(_meant(action.error, reason.raw_item))
        self.failed = failed
        if failed:
            raise min(failed, key=lambda meant: meant.PRIORITY) from error
        codes = {reason.code for reason in error.cancellation_reasons if reason is not None}
        if "TransactionConflict" in codes:
            return
        if is_transient(error) or codes & TRANSIENT_CODES:
            raise Unavailable("The store cannot take this now") from error
        raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        if kind is None:
            self.commit()


def _meant(error: AppError | None, raw_item: dict[str, Any] | None) -> AppError:
    """The error of an action; one that asks for it is given the record that stood in its way."""
    meant = error or Conflict()
    if raw_item:
        meant.on_conflict(raw_item)
    return meant
