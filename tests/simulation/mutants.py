"""The application with one safeguard taken out, to see that the simulation notices.

A simulation that still passes when the sweep is gone proves nothing. `KILLERS` holds for each
mutant seeds that a search has found to catch it; the first of them is tried first.
"""

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from pynamodb.expressions.update import RemoveAction

from chalicelib.kernel import clock
from chalicelib.kernel.http import idempotency
from chalicelib.kernel.jobs import attempt, claims, ledger, parking, registry, sweep
from chalicelib.kernel.jobs.claims import Claim
from chalicelib.kernel.jobs.ledger import PREFIX, Job
from chalicelib.kernel.store import write_set
from chalicelib.people import models
from tests import settings
from tests.simulation.stage import stage

Mutation = Callable[[], AbstractContextManager[Any]]


def _no_sweep() -> AbstractContextManager[Any]:
    return patch.object(sweep, "run", lambda *_: 0)


def _mark_before_send() -> AbstractContextManager[Any]:
    def attempt_it(at: attempt.Attempt) -> attempt.Outcome:
        marked = attempt._end(at, "done", None)
        with contextlib.suppress(Exception):
            context = registry.Context(str(at.job.tenant), at.job, at.deadline)
            at.declared.run(context, **at.job.arguments)
        return marked

    return patch.object(attempt, "_try", attempt_it)


def _no_claim() -> AbstractContextManager[Any]:
    def claim(tenant_id: str, job_id: str, _: str | None = None) -> Claim | None:
        job = Job(tenant_id, PREFIX + job_id)
        claiming = claims._claiming(clock.new_id(), clock.epoch_seconds())
        return (
            Claim(job, took_over=False) if job.change_if(_exists(), claiming, read=True) else None
        )

    return patch.multiple(claims, claim=claim, claim_first_attempts=lambda _: {})


def _no_lease() -> AbstractContextManager[Any]:
    return settings.changed(lease_seconds=-1)


def _no_margin_for_clocks() -> AbstractContextManager[Any]:
    """A lease of a function's timeout and no more."""
    return settings.changed(lease_seconds=60)


@contextlib.contextmanager
def _no_token_on_the_mark() -> Iterator[None]:
    def finish(
        job: Job,
        status: str,
        reason: str | None = None,
        *,
        also: Any = None,
        group: Any = None,
        **attributes: str | None,
    ) -> bool:
        del group
        actions = ledger._ending(job, status, reason, attributes)
        if also is None:
            return job.change_if(_exists(), actions)
        tx = write_set.WriteSet()
        tx.update(job, actions, _exists())
        also(tx)
        tx.commit()
        return True

    def change_if(job: Job, condition: Any, actions: list[Any], **how: bool) -> bool:
        marks = any(isinstance(action, RemoveAction) for action in actions)
        return usual(job, _exists() if marks else condition, actions, **how)

    usual = Job.change_if
    with patch.object(ledger, "finish", finish), patch.object(Job, "change_if", change_if):
        yield


@contextlib.contextmanager
def _attempts_counted_by_sqs() -> Iterator[None]:
    """SQS's receive count decides when a message is dead."""
    on = stage()
    _receive_at_most(on, 3)
    try:
        yield
    finally:
        _receive_at_most(on, 1000)


def _receive_at_most(on: Any, times: int) -> None:
    for name in ("notify", "work", "bulk"):
        url = on.mapping(name).queue_url
        dead = on.mapping(name).queue_arn + "-dead"
        policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": times})
        on.sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})


def _answer_outside_the_transaction() -> AbstractContextManager[Any]:
    """The idempotency row is looked up before, and put after."""

    def store(transaction: Any, key: idempotency.Key, answer: Any) -> None:
        repeated = idempotency.Repeated()
        with contextlib.suppress(idempotency.StoredAnswer.DoesNotExist):
            repeated.stored = idempotency.StoredAnswer.get(
                key.tenant_id, key.row_key, consistent_read=True
            )
            raise repeated
        later, commit = write_set.WriteSet(), transaction.commit
        usual(later, key, answer)

        def commit_then_store() -> None:
            commit()
            later.commit()

        transaction.commit = commit_then_store

    usual = idempotency.store
    return patch.object(idempotency, "store", store)


@contextlib.contextmanager
def _failures_returned_to_a_plain_mapping() -> Iterator[None]:
    """The function believes that its mapping reports failed items, and it does not."""
    with patch("tests.simulation.cast.reports_failures", lambda _: (True, False)):
        yield


def _batch_counter_outside_the_transaction() -> AbstractContextManager[Any]:
    usual = ledger.finish

    def finish(
        job: Job, status: str, reason: str | None = None, *, also: Any = None, **marks: str | None
    ) -> bool:
        if not usual(job, status, reason, **marks):
            return False
        if also is not None:
            with write_set.WriteSet() as tx:
                also(tx)
        return True

    return patch.object(ledger, "finish", finish)


def _old_reads() -> AbstractContextManager[Any]:
    """Jobs read their records as the tables' replicas happen to have them."""

    def get(model: Any, tenant_id: str, key: str) -> Any:
        try:
            return model.get(tenant_id, key)
        except model.DoesNotExist:
            return None

    return patch.object(models, "_get", get)


def _no_look_at_the_time() -> AbstractContextManager[Any]:
    """A process that stood still goes on to send."""
    return patch.object(registry.Context, "check_time", lambda _: None)


def _new_token_for_each_try() -> AbstractContextManager[Any]:
    """A transaction that met another one is tried again as if it were a different one."""
    usual = write_set.WriteSet._write
    return patch.object(
        write_set.WriteSet, "_write", lambda self, _: usual(self, str(uuid.uuid4()))
    )


def _no_note_of_what_is_parked() -> AbstractContextManager[Any]:
    return patch.object(parking.Note, "save", lambda _: None)


def _suspension_not_asked_for() -> AbstractContextManager[Any]:
    return patch.object(parking, "scope_of", lambda _: None)


def _exists() -> Any:
    return Job.sk.exists()


MUTANTS: dict[str, Mutation] = {
    "no-sweep": _no_sweep,
    "mark-before-send": _mark_before_send,
    "no-claim": _no_claim,
    "no-lease": _no_lease,
    "no-margin-for-clocks": _no_margin_for_clocks,
    "no-token-on-the-mark": _no_token_on_the_mark,
    "attempts-counted-by-sqs": _attempts_counted_by_sqs,
    "answer-outside-the-transaction": _answer_outside_the_transaction,
    "failures-returned-to-a-plain-mapping": _failures_returned_to_a_plain_mapping,
    "batch-counter-outside-the-transaction": _batch_counter_outside_the_transaction,
    "old-reads": _old_reads,
    "no-look-at-the-time": _no_look_at_the_time,
    "new-token-for-each-try": _new_token_for_each_try,
    "no-note-of-what-is-parked": _no_note_of_what_is_parked,
    "suspension-not-asked-for": _suspension_not_asked_for,
}

KILLERS: dict[str, tuple[int, ...]] = {
    "no-sweep": (6, 9, 10),
    "mark-before-send": (1, 2, 3),
    "no-claim": (1, 2, 3),
    "no-lease": (11, 27),
    "no-margin-for-clocks": (159, 223, 354),
    "no-token-on-the-mark": (23,),
    "attempts-counted-by-sqs": (6,),
    "answer-outside-the-transaction": (13,),
    "failures-returned-to-a-plain-mapping": (1, 2, 3),
    "batch-counter-outside-the-transaction": (10,),
    "old-reads": (6, 8),
    "no-look-at-the-time": (4, 12),
    "new-token-for-each-try": (12,),
    "no-note-of-what-is-parked": (7, 14),
    "suspension-not-asked-for": (14, 28),
}
#: Those that are caught where transactions meet; elsewhere it takes hundreds of seeds.
MEETING = frozenset({"new-token-for-each-try"})


@contextlib.contextmanager
def applied(mutation: Mutation | None) -> Iterator[None]:
    """The application as this mutant; as it is without one."""
    with ExitStack() as stack:
        if mutation is not None:
            stack.enter_context(mutation())
        yield
