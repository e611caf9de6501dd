"""One attempt at one job: claim, run, mark. What becomes of its message is the Outcome."""

import time
from typing import Self

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.errors import AppError, Later, Retry, Skip, Suppressed, Unconfirmed
from chalicelib.kernel.jobs import (
    batches,
    claims,
    completion,
    ledger,
    outbox,
    registry,
    retry,
    unique,
)
from chalicelib.kernel.jobs.claims import Claim
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.registry import Context, Declared, Result
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import failures


class Outcome(msgspec.Struct, frozen=True):
    """What becomes of a message, and a word for the metric."""

    word: str
    delete: bool
    hidden_seconds: int | None = None  #: None: for the queue's visibility timeout

    @classmethod
    def drop(cls, word: str) -> Self:
        """The message has done its work."""
        return cls(word, delete=True)

    @classmethod
    def keep(cls, word: str, hidden_seconds: int | None = None) -> Self:
        """The message comes back; beyond the longest wait in a queue the sweep brings it back."""
        if hidden_seconds is not None and hidden_seconds > retry.LONGEST_IN_QUEUE_SECONDS:
            return cls(word, delete=True)
        return cls(word, delete=False, hidden_seconds=hidden_seconds)


def run(
    type_: str, tenant_id: str, job_id: str, deadline: float, held: Claim | str | None = None
) -> Outcome:
    """Claims the job and runs it if it is its time; safe for any number of copies of a message.

    `held` is what `claims.claim_first_attempts` said of this job, to one of its messages. A job of
    an unknown name is parked, not failed: a newer release may have sent it.
    """
    try:
        declared = registry.find(type_)
    except registry.UnknownJob:
        telemetry.log.warning("unknown job parked", type=type_, job=job_id)
        return Outcome.keep("unknown", retry.LONGEST_IN_QUEUE_SECONDS)
    taken = held if isinstance(held, Claim) else claims.claim(tenant_id, job_id, held)
    if not isinstance(taken, Claim):
        return _not_ours(taken)
    with telemetry.measured() as meter:
        outcome = _run_claimed(declared, taken, deadline)
        telemetry.log.info(
            "job",
            type=type_,
            job=job_id,
            tenant=tenant_id,
            channel=taken.job.channel,
            outcome=outcome.word,
            attempt=int(taken.job.attempts),
            ms=round(meter.elapsed_ms(), 1),
            aws_calls=len(meter.calls),
        )
    return outcome


def _not_ours(job: Job | None) -> Outcome:
    """A copy of a message whose job has ended, is running elsewhere, or waits for its time."""
    if job is None or job.ended:
        if job is not None and job.batch_id:
            batches.settle(str(job.tenant), job.batch_id)
        return Outcome.drop("copy")
    until = job.lease_until if job.status == "running" else job.not_before
    return Outcome.keep("copy", max(1, int(until or 0) - clock.epoch_seconds() + 1))


def _run_claimed(declared: Declared, claim: Claim, deadline: float) -> Outcome:
    return _not_wanted(declared, claim) or _try(declared, claim.job, deadline)


def _not_wanted(declared: Declared, claim: Claim) -> Outcome | None:
    """Ends a job that must not run, or not again; None for one that shall."""
    job = claim.job
    if job.delivery:
        # The provider's event says that it was sent; this claim tries nothing and is not shown.
        return _end(job, "done", None, Result({"attempts": max(1, int(job.attempts) - 1)}))
    if claim.took_over:
        ledger.note_lost_attempt(job)
        lost = "an attempt ended without a result"  # and was charged when it began
        if outcome := _after_lost(declared, job, lost, charged=False):
            return outcome
    if job.attempts > job.max_attempts:
        # This claim tried nothing: it is not shown as an attempt.
        return _fail(job, "all attempts ended without a result", attempts=int(job.max_attempts))
    if job.not_after is not None and clock.epoch_seconds() > job.not_after:
        return _end(job, "expired", "its time was over before it could run")
    if batches.is_cancelled(job):
        return _end(job, "cancelled", "its batch was cancelled")
    return None


def _after_lost(declared: Declared, job: Job, detail: str, *, charged: bool) -> Outcome | None:
    """What follows when nobody knows whether the work was done; None: it is done again.

    With `confirm` the job waits for the provider's event after each such attempt, and is done
    again when none came.
    """
    if declared.lost_attempt == "give_up":
        return _fail(job, f"{detail}; this is sent at most once")
    if declared.lost_attempt == "repeat":
        return None
    word, seconds = "unconfirmed" if charged else "held", settings.confirm_seconds
    waiting = f"{detail}; waiting for the provider's event"
    if not ledger.wait(job, word, waiting, seconds, charged=charged):
        return Outcome.drop("late")
    return Outcome.keep(word, seconds)


def _try(declared: Declared, job: Job, deadline: float) -> Outcome:
    if declared.unique_until_start:
        unique.release(job)
    ends = min(deadline, time.monotonic() + declared.timeout_seconds)
    try:
        result = declared.run(Context(str(job.tenant), job, ends), **job.arguments)
    except Skip as skip:
        return _end(job, "skipped", str(skip))
    except Retry as later:
        return _hold(declared, job, later)
    except Later as error:  # the store is down, by whichever way the job came to know
        return _hold(declared, job, Retry(error.detail))
    except AppError as error:
        return _fail(job, error.detail)
    except Suppressed as error:
        return _end(job, "suppressed", f"this address is suppressed: it {error}")
    except Unconfirmed as error:
        return _after_lost(declared, job, str(error), charged=True) or _again(
            declared, job, "unconfirmed", str(error)
        )
    except Exception as error:  # noqa: BLE001  unexpected: logged, and costs an attempt
        if failures.is_transient(error):
            return _hold(declared, job, Retry(f"the store is down: {type(error).__name__}"))
        telemetry.log.exception("job raised", type=job.type, job=job.id)
        return _again(declared, job, "error", f"{type(error).__name__}: {error}"[:500])
    return _end(job, "done", None, result)


def _end(job: Job, status: str, reason: str | None, result: Result | None = None) -> Outcome:
    is_ours = completion.end(job, status, reason, result)
    return Outcome.drop(status if is_ours else "late")


def _hold(declared: Declared, job: Job, later: Retry) -> Outcome:
    if later.charged:
        return _again(declared, job, "retry", later.reason, later.after_seconds)
    decision = retry.after_deferral(declared.retry, int(job.holds) + 1, later.after_seconds)
    return _wait(job, "held", later.reason, decision.wait_seconds, charged=False)


def _again(
    declared: Declared, job: Job, outcome: str, detail: str, after_seconds: int | None = None
) -> Outcome:
    decision = retry.after_failure(declared.retry, int(job.attempts), int(job.max_attempts))
    if isinstance(decision, retry.GiveUp):
        return _fail(job, detail)
    wait_seconds = decision.wait_seconds if after_seconds is None else after_seconds
    return _wait(job, outcome, detail, wait_seconds, charged=True)


def _wait(job: Job, outcome: str, detail: str, wait_seconds: int, *, charged: bool) -> Outcome:
    seconds = retry.with_jitter(wait_seconds)
    if not ledger.wait(job, outcome, detail, seconds, charged=charged):
        return Outcome.drop("late")
    return Outcome.keep(outcome, seconds)


def _fail(job: Job, reason: str, **marks: int) -> Outcome:
    """The job is dead: `failed` in the ledger, a copy of its message in the dead-letter queue."""
    ended = _end(job, "failed", reason, Result({**marks}))
    if ended.word != "failed":
        return ended
    telemetry.log.error("job failed", type=job.type, job=job.id, tenant=job.tenant)
    try:
        url = aws.queue_url(settings.resource(f"{job.queue}-dead"))
        body = outbox.message_of(job)["MessageBody"]
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    except (BotoCoreError, ClientError) as error:
        # The ledger is the truth; the copy is for those who watch queues.
        telemetry.log.warning("no dead-letter copy", job=job.id, error=type(error).__name__)
    return ended
