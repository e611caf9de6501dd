"""Claims: a job belongs to one worker for `lease_seconds`, under a token that only it knows.

Jobs of a batch that wait for their first attempt are claimed in one call; all others, and those
that this call did not plainly claim, are claimed alone. Either way a claim is one conditional
update of one row, so no two workers get the same job.
"""

from collections.abc import Iterable

import msgspec
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock
from chalicelib.kernel.jobs import ledger
from chalicelib.kernel.jobs.ledger import PREFIX, Job
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import batch_update
from chalicelib.kernel.store.batch_update import ConditionalUpdate

_MIN_SHARED = 2  #: a shared call for fewer jobs would save nothing

Key = tuple[str, str]  #: tenant id, job id


class Claim(msgspec.Struct, frozen=True):
    """A job that belongs to this worker until `job.lease_until`."""

    job: Job
    took_over: bool  #: True when an earlier attempt crashed or was too slow, and left no result


class Unsettled(msgspec.Struct, frozen=True):
    """A job that a shared call may have claimed under this token: its answer did not say so.

    Whoever works the job claims it under the same token, and so recognises its own claim.
    """

    token: str


def claim_first_attempts(keys: Iterable[Key]) -> dict[Key, Claim | Unsettled]:
    """Claims, in one call, those of these jobs that wait for their first attempt.

    Empty for fewer than two jobs. Each result is good for one attempt: a second message of the
    same job makes its own claim. Raises nothing.
    """
    unique_keys, token = list(dict.fromkeys(keys))[: batch_update.MAX_STATEMENTS], clock.new_id()
    if len(unique_keys) < _MIN_SHARED:
        return {}
    actions = _claiming(token, clock.epoch_seconds())
    first = (Job.status == "queued") & Job.not_before.does_not_exist()
    rows = (Job(tenant_id, PREFIX + job_id) for tenant_id, job_id in unique_keys)
    updates = [ConditionalUpdate(row, actions, first) for row in rows]
    items = batch_update.execute(updates, read=True)
    return {key: _claimed(item, token) for key, item in zip(unique_keys, items, strict=True)}


def _claimed(item: batch_update.Item | None, token: str) -> Claim | Unsettled:
    if item is None or item.get("claim_token") != {"S": token}:
        return Unsettled(token)
    try:
        return Claim(Job.from_raw_data(item), took_over=False)
    except Exception:  # noqa: BLE001  a row that cannot be read is reported when its turn comes
        return Unsettled(token)


def claim(tenant_id: str, job_id: str, token: str | None = None) -> Claim | Job | None:
    """Claims the job if its time has come; otherwise the row as it is, None if there is no row.

    Safe to repeat: a claim whose answer was lost is recognised by the token. A row left running
    beyond its lease is taken over only from the claim that was seen, and only while it runs: of two
    workers one gets it, and what a late worker has ended meanwhile stays ended.
    """
    token, now = token or clock.new_id(), clock.epoch_seconds()
    waiting = (Job.status == "queued") & (Job.not_before.does_not_exist() | (Job.not_before <= now))
    job = Job(tenant_id, PREFIX + job_id)
    if job.change_if(waiting, _claiming(token, now), read=True):
        return Claim(job, took_over=False)
    seen = ledger.get(tenant_id, job_id, consistent=True)
    if seen is None or seen.claim_token == token:
        return seen and Claim(seen, took_over=False)
    if seen.status != "running" or seen.lease_until >= now:
        return seen
    if seen.change_if(_still_runs(seen), _claiming(token, now), read=True):
        return Claim(seen, took_over=True)
    seen = ledger.get(tenant_id, job_id, consistent=True)
    return Claim(seen, took_over=True) if seen and seen.claim_token == token else seen


def _still_runs(job: Job) -> Condition:
    """The row has neither ended nor changed hands; an ended row keeps its last token."""
    still: Condition = (Job.claim_token == job.claim_token) & (Job.status == "running")
    return still


def _claiming(token: str, now: int) -> list[Action]:
    lease_until = now + settings.lease_seconds
    return [
        Job.status.set("running"),
        Job.claim_token.set(token),
        Job.lease_until.set(lease_until),
        Job.due_at.set(lease_until + settings.push_grace_seconds),
        Job.attempts.set(Job.attempts + 1),
    ]
