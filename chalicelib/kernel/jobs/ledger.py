"""The ledger: one row per job, which decides what is true of it. Queues only remind.

Table `kernel`, keys (tenant, "job#" + id), ids in the order of creation.

    index due         rows not ended, by (shard, due_at)   found by outbox.sweep
    index recipient   notices by (tenant + recipient, id)  found by list_notifications

A row changes only by conditional writes. Whoever claims it (`claims.py`) does so under a new token;
every later change by that worker is conditional on the token, so one that comes late changes
nothing. Attempts are counted by claims: a job that kills its process is counted too.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from pynamodb.attributes import ListAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.jobs import group_commit
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.batch_update import Change
from chalicelib.kernel.store.records import KernelRecord, Number
from chalicelib.kernel.store.write_set import WriteSet

PREFIX = "job#"
_HISTORY_KEPT = 50  #: entries of a job's history; a job held for days would outgrow its row
ENDED = frozenset({"done", "failed", "skipped", "suppressed", "cancelled", "expired"})
#: What a provider's events say of a message, each word final against those before it.
DELIVERIES = ("sent", "delivered", "bounced", "complained")
SECONDS_IN_A_DAY = 86_400


class Job(KernelRecord):
    """Row of a job; a notification is a job that has a channel."""

    type = UnicodeAttribute()  #: the job's registered name, such as people.invitation
    queue = UnicodeAttribute()  #: notify, work or bulk
    status = UnicodeAttribute()  #: queued, running, or one of ENDED
    args = UnicodeAttribute(default="{}")  #: JSON object handed to the job's function
    attempts = Number(default=0)  #: claims that were charged
    max_attempts = Number()
    holds = Number(default=0)  #: waits for a limit or an outage, which charge nothing
    history: ListAttribute[Any] = ListAttribute(
        default=list
    )  #: {at, outcome, detail, wait_seconds} per failed try
    last_error = UnicodeAttribute(null=True)
    channel = UnicodeAttribute(null=True)  #: email or sms
    recipient = UnicodeAttribute(null=True)
    recipient_key = UnicodeAttribute(null=True)
    provider_message_id = UnicodeAttribute(null=True)
    delivery = UnicodeAttribute(null=True)  #: what the provider's events say: DELIVERIES
    counted_on = UnicodeAttribute(null=True)  #: day on which the tenant's limit counted it
    batch_id = UnicodeAttribute(null=True)
    units = Number(default=1)  #: how much of its batch this job is
    unique_key = UnicodeAttribute(null=True)  #: of the lock that keeps it the only one of its kind
    not_after = Number(null=True)  #: epoch seconds after which it is no longer wanted
    claim_token = UnicodeAttribute(null=True)
    lease_until = Number(null=True)  #: epoch seconds
    not_before = Number(null=True)  #: epoch seconds of the next attempt
    due_shard = UnicodeAttribute(null=True)
    due_at = Number(null=True)  #: epoch seconds; the sweep pushes the row after it
    due_step_seconds = Number(null=True)  #: the sweep's next step for this row
    created_at = UnicodeAttribute()
    finished_at = UnicodeAttribute(null=True)

    @property
    def id(self) -> str:
        return str(self.sk).removeprefix(PREFIX)

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(json.loads(self.args))

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def new(
    tenant_id: str,
    type_: str,
    args: Mapping[str, Any],
    *,
    queue: str,
    tries: int,
    recipient: str | None = None,
    **attributes: Any,
) -> Job:
    """A row for a job that waits from now, to be saved with its cause."""
    job_id = clock.new_id()
    return Job(
        tenant_id,
        PREFIX + job_id,
        type=type_,
        queue=queue,
        status="queued",
        args=json.dumps(dict(args), ensure_ascii=False, separators=(",", ":")),
        max_attempts=tries,
        recipient=recipient,
        recipient_key=recipient and recipient_key(tenant_id, recipient),
        due_shard=_shard(job_id),
        due_at=clock.epoch_seconds() + settings.push_grace_seconds,
        due_step_seconds=2 * settings.push_grace_seconds,
        created_at=clock.iso(clock.now()),
        **attributes,
    )


def recipient_key(tenant_id: str, recipient: str) -> str:
    return f"{tenant_id}#{recipient.lower()}"


def _shard(job_id: str) -> str:
    return str(zlib.crc32(job_id.encode()) % settings.due_shards)


def get(tenant_id: str, job_id: str, *, consistent: bool = False) -> Job | None:
    if not clock.is_id(job_id):
        return None
    try:
        return Job.get(tenant_id, PREFIX + job_id, consistent_read=consistent)
    except Job.DoesNotExist:
        return None


class ClaimLost(AppError):
    """Another worker has taken this job over"""

    STATUS = 409


def finish(
    job: Job,
    status: str,
    reason: str | None = None,
    *,
    also: Callable[[WriteSet], None] | None = None,
    **marks: str | int | None,
) -> bool:
    """Ends a claimed job; False when the claim was lost to another worker, then nothing changed.

    `marks` are further attributes to keep, such as the provider's message id. `also` adds actions
    that happen in the same transaction or not at all. The row leaves the index of waiting jobs and
    is deleted after the retention period.
    """
    actions, mine = _ending(job, status, reason, marks), Job.claim_token == job.claim_token
    if also is None:
        return group_commit.make(Change(job, actions, mine), lambda: change(job, actions, mine))
    tx = WriteSet()
    tx.update(job, actions, mine, ClaimLost())
    also(tx)
    try:
        tx.commit()
    except ClaimLost:
        return False
    return True


def cancel(tx: WriteSet, job: Job, error: AppError) -> None:
    """Adds the end of a job to `tx`, which fails with `otherwise` unless the job waits."""
    tx.update(job, _ending(job, "cancelled", "cancelled", {}), Job.status == "queued", error)


def _ending(
    job: Job, status: str, reason: str | None, marks: Mapping[str, str | int | None]
) -> list[Action]:
    now = clock.now()
    expires = clock.epoch_seconds() + settings.retention_days * SECONDS_IN_A_DAY
    actions: list[Action] = [
        Job.status.set(status),
        Job.finished_at.set(clock.iso(now)),
        Job.expires_at.set(expires),
        *(attribute.remove() for attribute in (Job.due_at, Job.due_shard, Job.lease_until)),
        *(getattr(Job, name).set(value) for name, value in marks.items() if value is not None),
    ]
    if reason is not None:
        actions.append(Job.last_error.set(reason))
    if status == "failed":
        actions.append(Job.history.set(_with_entry(job, status, reason or "", None)))
    return actions


def wait(job: Job, outcome: str, detail: str, wait_seconds: int, *, charged: bool) -> bool:
    """Puts a claimed job back to wait; an uncharged wait gives its attempt back.

    False when the claim was lost to another worker, then nothing changed.
    """
    not_before = clock.epoch_seconds() + wait_seconds
    actions: list[Action] = [
        Job.status.set("queued"),
        Job.not_before.set(not_before),
        Job.due_at.set(not_before + settings.push_grace_seconds),
        Job.due_step_seconds.set(2 * settings.push_grace_seconds),
        Job.last_error.set(detail),
        Job.history.set(_with_entry(job, outcome, detail, wait_seconds)),
        *(attribute.remove() for attribute in (Job.claim_token, Job.lease_until)),
    ]
    if job.counted_on:
        actions.append(Job.counted_on.set(job.counted_on))
    if not charged:
        actions += [Job.attempts.set(Job.attempts - 1), Job.holds.set(Job.holds + 1)]
    return change(job, actions, Job.claim_token == job.claim_token)


def note_delivery(tenant_id: str, job_id: str, delivery: str, message_id: str) -> bool:
    """Keeps what a provider's event says; forward only, whatever the order events come in.

    False for an event that is older than what is known, or of a job that is not ours.
    """
    before = DELIVERIES[: DELIVERIES.index(delivery)]
    older = Job.delivery.does_not_exist()
    if before:
        older |= Job.delivery.is_in(*before)
    told: list[Action] = [Job.delivery.set(delivery), Job.provider_message_id.set(message_id)]
    return change(Job(tenant_id, PREFIX + job_id), told, Job.sk.exists() & older)


def note_lost_attempt(job: Job) -> None:
    """Adds to a taken-over job's history that the attempt before ended without a word."""
    entry = _with_entry(job, "lost", "the attempt before ended without a result", None)
    change(job, [Job.history.set(entry)], Job.claim_token == job.claim_token, read=True)


def _with_entry(job: Job, outcome: str, detail: str, wait_seconds: int | None) -> list[Any]:
    entry: dict[str, Any] = {
        "at": clock.iso(clock.now()),
        "attempt": int(job.attempts),
        "outcome": outcome,
        "detail": detail,
    }
    if wait_seconds is not None:
        entry["wait_seconds"] = wait_seconds
    return [*job.history, entry][-_HISTORY_KEPT:]


def change(job: Job, actions: list[Action], condition: Condition, *, read: bool = False) -> bool:
    """One conditional write; with `read`, `job` then holds the row as it is now."""
    return job.change_if(condition, actions, read=read)
