"""The ledger: one row per job, which decides what is true of it. Queues only remind.

Table `kernel`, keys (tenant, "job#" + id), ids in the order of creation.

    index due         jobs not ended, by (shard, due_at)   read by sweep.py
    index recipient   notices by (tenant + recipient, id)  read by list_notifications

A row changes only by conditional writes. A claim (`claims.py`) sets a new token, and every later
change by that worker is conditional on it, so a late worker changes nothing. The claim also counts
the attempt, so that a job that kills its process is counted too.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from pynamodb.attributes import ListAttribute, UnicodeAttribute
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.jobs.group_commit import Group
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import batch_update, records
from chalicelib.kernel.store.batch_update import ConditionalUpdate
from chalicelib.kernel.store.records import KernelRecord, Number
from chalicelib.kernel.store.write_set import WriteSet

PREFIX = "job#"
PARKED = "parked#"  #: begins the partitions of the index `due` that parking.py has
_MAX_HISTORY = 50  #: entries; without a limit a job deferred for days would outgrow its row
ENDED = frozenset({"done", "failed", "skipped", "suppressed", "cancelled", "expired"})
#: What providers' events say about a message. A state replaces those before it, never one after.
DELIVERIES = ("sent", "rejected", "delivered", "bounced", "complained")
SECONDS_IN_A_DAY = 86_400


class Job(KernelRecord):
    """Row of a job; a notification is a job that has a channel."""

    type = UnicodeAttribute()  #: the job's registered name, such as people.invitation
    queue = UnicodeAttribute()  #: `registry.Queue`
    status = UnicodeAttribute()  #: queued, running, or one of ENDED
    args = UnicodeAttribute(default="{}")  #: arguments of the job's function, as a JSON object
    attempts = Number(default=0)  #: charged claims
    max_attempts = Number()
    #: waits for a limit or an outage, which cost no attempt
    deferrals = Number(default=0, attr_name="holds")
    #: {at, attempt, outcome, detail, wait_seconds} for each attempt that did not succeed
    history: ListAttribute[Any] = ListAttribute(default=list)
    last_error = UnicodeAttribute(null=True)
    channel = UnicodeAttribute(null=True)  #: email or sms
    recipient = UnicodeAttribute(null=True)  #: e-mail address or phone number
    recipient_key = UnicodeAttribute(null=True)  #: key of the index `recipient`
    provider_message_id = UnicodeAttribute(null=True)
    delivery = UnicodeAttribute(null=True)  #: by the provider's events; one of DELIVERIES
    counted_on = UnicodeAttribute(null=True)  #: day on which the tenant's daily limit counted it
    batch_id = UnicodeAttribute(null=True)
    #: number of the shard that counts it; None: the batch's own row
    batch_shard = Number(null=True)
    units = Number(default=1)  #: what it counts for in its batch
    unique_key = UnicodeAttribute(null=True)  #: key of the lock in unique.py; None: not unique
    not_after = Number(null=True)  #: epoch seconds after which it expires
    claim_token = UnicodeAttribute(null=True)  #: token of the latest claim
    lease_until = Number(null=True)  #: epoch seconds until which the claim holds
    not_before = Number(null=True)  #: epoch seconds of the next attempt
    due_shard = UnicodeAttribute(null=True)  #: key of the index `due`
    due_at = Number(null=True)  #: epoch seconds after which the sweep pushes the job
    due_step_seconds = Number(null=True)  #: pause after the sweep's next push
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
    not_before: int | None = None,
    **attributes: Any,
) -> Job:
    """A row for a job; the caller saves it with its cause.

    It is due now, or at `not_before` if that is still to come: then the sweep pushes it.
    """
    job_id, now = clock.new_id(), clock.epoch_seconds()
    is_later = not_before is not None and not_before > now
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
        due_shard=shard_of(job_id),
        not_before=not_before if is_later else None,
        due_at=not_before if is_later else now + settings.push_grace_seconds,
        due_step_seconds=(1 if is_later else 2) * settings.push_grace_seconds,
        created_at=clock.iso(clock.now()),
        **attributes,
    )


def shown_status(job: Job) -> str:
    """The status that clients see.

    A job whose address is suppressed counts as skipped. One whose message the provider rejected
    after taking it has failed.
    """
    if job.status == "done" and job.delivery == "rejected":
        return "failed"
    return "skipped" if job.status == "suppressed" else str(job.status)


def waits(job: Job) -> bool:
    """True for a new job whose time is still to come."""
    return job.not_before is not None


def recipient_key(tenant_id: str, recipient: str) -> str:
    return f"{tenant_id}#{recipient.lower()}"


def shard_of(job_id: str) -> str:
    """The partition of the index `due` in which a job waits that is not parked."""
    return str(part_of(job_id, settings.due_shards))


def part_of(job_id: str, parts: int) -> int:
    """One of so many parts, the same for a job every time."""
    return zlib.crc32(job_id.encode()) % parts


def get(tenant_id: str, job_id: str, *, consistent: bool = False) -> Job | None:
    if not clock.is_id(job_id):
        return None
    return records.read(Job, tenant_id, PREFIX + job_id, consistent=consistent)


class ClaimLost(AppError):
    """Another worker has taken this job over"""

    STATUS = 409


def finish(
    job: Job,
    status: str,
    reason: str | None = None,
    *,
    also: Callable[[WriteSet], None] | None = None,
    group: Group | None = None,
    **attributes: str | int | None,
) -> bool:
    """Ends a claimed job; False, and no change, when another worker has taken it over.

    `attributes` are further values to keep, such as the provider's message id. `also` adds actions
    to the transaction that ends the job. Without it the mark may share a call with others of
    `group`, and waits a moment for them. The row leaves the index `due` and is deleted after the
    retention period.
    """
    actions, is_ours = _ending(job, status, reason, attributes), Job.claim_token == job.claim_token
    if also is None:
        update = ConditionalUpdate(job, actions, is_ours)
        return group.commit(update) if group else batch_update.execute_alone(update)
    tx = WriteSet()
    tx.update(job, actions, is_ours, ClaimLost())
    also(tx)
    try:
        tx.commit()
    except ClaimLost:
        return False
    return True


def cancel(tx: WriteSet, job: Job, error: AppError) -> None:
    """Adds the end of a waiting job to `tx`; the commit raises `error` when it does not wait."""
    tx.update(job, _ending(job, "cancelled", "cancelled", {}), Job.status == "queued", error)


def _ending(
    job: Job, status: str, reason: str | None, attributes: Mapping[str, str | int | None]
) -> list[Action]:
    now = clock.now()
    expires = clock.epoch_seconds() + settings.retention_days * SECONDS_IN_A_DAY
    actions: list[Action] = [
        Job.status.set(status),
        Job.finished_at.set(clock.iso(now)),
        Job.expires_at.set(expires),
        *(attribute.remove() for attribute in (Job.due_at, Job.due_shard, Job.lease_until)),
        *(getattr(Job, name).set(value) for name, value in attributes.items() if value is not None),
    ]
    if reason is not None:
        actions.append(Job.last_error.set(reason))
    if status == "failed":
        actions.append(Job.history.set(with_entry(job, status, reason or "", None)))
    return actions


def wait(job: Job, outcome: str, detail: str, wait_seconds: int, *, charged: bool) -> bool:
    """Puts a claimed job back to wait; an uncharged wait gives its attempt back.

    False, and no change, when another worker has taken the job over.
    """
    not_before = clock.epoch_seconds() + wait_seconds
    actions: list[Action] = [
        Job.status.set("queued"),
        Job.not_before.set(not_before),
        Job.due_at.set(not_before + settings.push_grace_seconds),
        Job.due_step_seconds.set(2 * settings.push_grace_seconds),
        Job.last_error.set(detail),
        Job.history.set(with_entry(job, outcome, detail, wait_seconds)),
        *(attribute.remove() for attribute in (Job.claim_token, Job.lease_until)),
    ]
    if job.counted_on:
        actions.append(Job.counted_on.set(job.counted_on))
    if not charged:
        actions += [Job.attempts.set(Job.attempts - 1), Job.deferrals.set(Job.deferrals + 1)]
    return job.change_if(Job.claim_token == job.claim_token, actions)


def due_now() -> list[Action]:
    """Makes a waiting job run now; the sweep pushes it if its caller does not."""
    grace_seconds = settings.push_grace_seconds
    return [
        Job.not_before.remove(),
        Job.due_at.set(clock.epoch_seconds() + grace_seconds),
        Job.due_step_seconds.set(2 * grace_seconds),
    ]


def note_delivery(
    tenant_id: str, job_id: str, delivery: str, message_id: str, reason: str | None = None
) -> bool:
    """Keeps the state that a provider's event reports, and why the message will never arrive.

    Events may come in any order and more than once. False for one that is older than the state that
    is known, or that names no job of ours.
    """
    earlier = DELIVERIES[: DELIVERIES.index(delivery)]
    is_news = Job.delivery.does_not_exist()
    if earlier:
        is_news |= Job.delivery.is_in(*earlier)
    actions = [Job.delivery.set(delivery), Job.provider_message_id.set(message_id)]
    if reason:
        actions.append(Job.last_error.set(reason))
    return Job(tenant_id, PREFIX + job_id).change_if(Job.sk.exists() & is_news, actions)


def note_lost_attempt(job: Job) -> None:
    """Adds an entry to the history: the attempt before the takeover left no result."""
    entry = with_entry(job, "lost", "the previous attempt ended without a result", None)
    job.change_if(Job.claim_token == job.claim_token, [Job.history.set(entry)], read=True)


def with_entry(job: Job, outcome: str, detail: str, wait_seconds: int | None) -> list[Any]:
    """The job's history with one more entry."""
    entry: dict[str, Any] = {
        "at": clock.iso(clock.now()),
        "attempt": int(job.attempts),
        "outcome": outcome,
        "detail": detail,
    }
    if wait_seconds is not None:
        entry["wait_seconds"] = wait_seconds
    return [*job.history, entry][-_MAX_HISTORY:]
