"""One attempt at one job: claim, run, mark. Its Outcome says what becomes of the message."""

import time
from typing import Self

import msgspec
from pynamodb.exceptions import PynamoDBException

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.errors import AppError, Later, Retry, Skip, Suppressed, Unconfirmed
from chalicelib.kernel.jobs import (
    batches,
    claims,
    completion,
    ledger,
    outbox,
    parking,
    registry,
    retry,
    unique,
)
from chalicelib.kernel.jobs.claims import Claim, Unsettled
from chalicelib.kernel.jobs.group_commit import Group
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.registry import Context, Declared, Result
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import failures

_STORE_FAILED = (*aws.CALL_FAILED, PynamoDBException)


class Outcome(msgspec.Struct, frozen=True):
    """What becomes of a message."""

    name: str  #: for the log and the metric, such as `done` or `held`
    delete: bool  #: False: the message stays in its queue
    hidden_seconds: int | None = None  #: wait until it is seen again; None: the queue's own

    @classmethod
    def drop(cls, name: str) -> Self:
        """The message has done its work and is deleted."""
        return cls(name, delete=True)

    @classmethod
    def keep(cls, name: str, hidden_seconds: int | None = None) -> Self:
        """The message comes back; after longer waits than a queue's the sweep sends a new one."""
        if hidden_seconds is not None and hidden_seconds > retry.LONGEST_IN_QUEUE_SECONDS:
            return cls(name, delete=True)
        return cls(name, delete=False, hidden_seconds=hidden_seconds)


class Attempt(msgspec.Struct, frozen=True):
    """A job that this worker has claimed, and what is needed to run it."""

    declared: Declared
    job: Job
    deadline: float  #: in seconds of time.monotonic()
    group: Group | None  #: jobs whose marks may share a call with this one's


def run(
    type_: str,
    tenant_id: str,
    job_id: str,
    deadline: float,
    claimed: Claim | Unsettled | None = None,
    group: Group | None = None,
) -> Outcome:
    """Claims the job and runs it if its time has come; safe to repeat for copies of a message.

    `claimed` is the result of `claims.claim_first_attempts` for this job, and is passed for one of
    its messages only. A job with an unknown name is parked and does not fail: it may come from a
    newer release.
    """
    try:
        declared = registry.find(type_)
    except registry.UnknownJob:
        telemetry.log.warning("unknown job parked", type=type_, job=job_id)
        return Outcome.keep("unknown", retry.LONGEST_IN_QUEUE_SECONDS)
    claim = _claim(tenant_id, job_id, claimed)
    if not isinstance(claim, Claim):
        return _outcome_of_copy(claim)
    attempt = Attempt(declared, claim.job, deadline, group)
    with telemetry.measured() as meter:
        outcome = _end_unwanted(attempt, took_over=claim.took_over) or _try(attempt)
        telemetry.log.info(
            "job",
            type=type_,
            job=job_id,
            tenant=tenant_id,
            channel=claim.job.channel,
            outcome=outcome.name,
            attempt=int(claim.job.attempts),
            ms=round(meter.elapsed_ms(), 1),
            aws_calls=len(meter.calls),
        )
    return outcome


def _claim(tenant_id: str, job_id: str, claimed: Claim | Unsettled | None) -> Claim | Job | None:
    if isinstance(claimed, Claim):
        return claimed
    return claims.claim(tenant_id, job_id, claimed.token if claimed else None)


def _outcome_of_copy(job: Job | None) -> Outcome:
    """The outcome for a message whose job has ended, runs elsewhere, or waits for its time."""
    if job is None or job.ended:
        if job is not None:
            completion.follow(job)
        return Outcome.drop("copy")
    until = job.lease_until if job.status == "running" else job.not_before
    return Outcome.keep("copy", max(1, int(until or 0) - clock.epoch_seconds() + 1))


def _end_unwanted(attempt: Attempt, *, took_over: bool) -> Outcome | None:
    """Ends a job that must not run, or not again; None if it must run."""
    job = attempt.job
    if job.delivery:
        # A provider's event shows that it was sent. This claim tries nothing, so it is not counted.
        return _end(attempt, "done", None, Result({"attempts": max(1, int(job.attempts) - 1)}))
    if took_over:
        ledger.note_lost_attempt(job)
        reason = "an attempt ended without a result"  # it was charged by its own claim
        if outcome := _after_lost(attempt, reason, charged=False):
            return outcome
    return _park(attempt) or _end_for_reason(attempt)


def _park(attempt: Attempt) -> Outcome | None:
    """Parks a job whose tenant is suspended; None if the tenant is active."""
    job = attempt.job
    try:
        if scope := parking.scope_of(job):
            return Outcome.drop("parked" if parking.park(job, scope) else "late")
    except _STORE_FAILED as error:
        return _defer_if_store_is_down(attempt, error)
    return None


def _end_for_reason(attempt: Attempt) -> Outcome | None:
    try:
        ending = _reason_to_end(attempt)
    except Retry as later:
        return _defer(attempt, later)
    except _STORE_FAILED as error:
        return _defer_if_store_is_down(attempt, error)
    if ending is None:
        return None
    status, reason = ending
    if status == "failed":  # this claim tries nothing, so it is not counted
        return _fail(attempt, reason, attempts=int(attempt.job.max_attempts))
    return _end(attempt, status, reason)


def _reason_to_end(attempt: Attempt) -> tuple[str, str] | None:
    """The status and reason with which a job ends that must not run; None if it must run.

    Raises Retry while that is not known. For a unique job, enters its kind's lock.
    """
    job = attempt.job
    if job.attempts > job.max_attempts:
        return "failed", "all attempts ended without a result"
    if job.not_after is not None and clock.epoch_seconds() > job.not_after:
        return "expired", "it could not run in time"
    if batches.is_cancelled(job):
        return "cancelled", "its batch was cancelled"
    if job.unique_key and not unique.enter(job, attempt.declared.lock_seconds):
        return "skipped", unique.SKIPPED
    return None


def _defer_if_store_is_down(attempt: Attempt, error: Exception) -> Outcome:
    """An outage costs no attempt. Raises `error` again when it is of another kind."""
    if not failures.is_transient(error):
        raise error
    return _defer(attempt, Retry(f"the store is down: {type(error).__name__}"))


def _after_lost(attempt: Attempt, detail: str, *, charged: bool) -> Outcome | None:
    """Decides after an attempt that may or may not have done the work; None to run it again.

    A job with `confirm` waits for the provider's event after such an attempt, and runs again if
    none came.
    """
    if attempt.declared.lost_attempt == "give_up":
        return _fail(attempt, f"{detail}; this is sent at most once")
    if attempt.declared.lost_attempt == "repeat":
        return None
    name, seconds = "unconfirmed" if charged else "held", settings.confirm_seconds
    reason = f"{detail}; waiting for the provider's event"
    if not ledger.wait(attempt.job, name, reason, seconds, charged=charged):
        return Outcome.drop("late")
    return Outcome.keep(name, seconds)


def _try(attempt: Attempt) -> Outcome:
    declared, job = attempt.declared, attempt.job
    ends_at = min(attempt.deadline, time.monotonic() + declared.timeout_seconds)
    try:
        result = declared.run(Context(str(job.tenant), job, ends_at), **job.arguments)
    except Skip as skip:
        return _end(attempt, "skipped", str(skip))
    except Retry as later:
        return _defer(attempt, later)
    except Later as error:  # the store is down, or a limit was met
        return _defer(attempt, Retry(error.detail))
    except AppError as error:
        return _fail(attempt, error.detail)
    except Suppressed as error:
        return _end(attempt, "suppressed", f"this address is suppressed: it {error}")
    except Unconfirmed as error:
        return _after_lost(attempt, str(error), charged=True) or _retry(
            attempt, "unconfirmed", str(error)
        )
    except Exception as error:  # noqa: BLE001  unexpected: logged, and costs an attempt
        if failures.is_transient(error):
            return _defer_if_store_is_down(attempt, error)
        telemetry.log.exception("job raised", type=job.type, job=job.id)
        return _retry(attempt, "error", f"{type(error).__name__}: {error}"[:500])
    return _end(attempt, "done", None, result)


def _end(
    attempt: Attempt, status: str, reason: str | None, result: Result | None = None
) -> Outcome:
    is_ended = completion.end(attempt.job, status, reason, result, attempt.group)
    return Outcome.drop(status if is_ended else "late")


def _defer(attempt: Attempt, later: Retry) -> Outcome:
    if later.charged:
        return _retry(attempt, "retry", later.reason, later.after_seconds)
    deferrals = int(attempt.job.deferrals) + 1
    decision = retry.after_deferral(attempt.declared.retry, deferrals, later.after_seconds)
    return _wait(attempt.job, "held", later.reason, decision.wait_seconds, charged=False)


def _retry(
    attempt: Attempt, outcome: str, detail: str, after_seconds: int | None = None
) -> Outcome:
    job = attempt.job
    decision = retry.after_failure(attempt.declared.retry, int(job.attempts), int(job.max_attempts))
    if isinstance(decision, retry.GiveUp):
        return _fail(attempt, detail)
    wait_seconds = decision.wait_seconds if after_seconds is None else after_seconds
    return _wait(job, outcome, detail, wait_seconds, charged=True)


def _wait(job: Job, outcome: str, detail: str, wait_seconds: int, *, charged: bool) -> Outcome:
    seconds = retry.with_jitter(wait_seconds)
    if not ledger.wait(job, outcome, detail, seconds, charged=charged):
        return Outcome.drop("late")
    return Outcome.keep(outcome, seconds)


def _fail(attempt: Attempt, reason: str, **attributes: int) -> Outcome:
    """Ends the job as `failed`, and copies its message to the dead-letter queue."""
    job = attempt.job
    outcome = _end(attempt, "failed", reason, Result({**attributes}))
    if outcome.name != "failed":
        return outcome
    telemetry.log.error("job failed", type=job.type, job=job.id, tenant=job.tenant)
    try:
        url = aws.queue_url(settings.resource(f"{job.queue}-dead"))
        body = outbox.message_of(job)["MessageBody"]
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    except aws.CALL_FAILED as error:
        # The ledger is the truth; the copy only serves people who watch queues.
        telemetry.log.warning("no dead-letter copy", job=job.id, error=type(error).__name__)
    return outcome
