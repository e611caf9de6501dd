"""Claims: a job belongs to one worker for `lease_seconds`, under a token that only it knows.

The jobs of a worker's messages that wait for their first attempt are claimed in one call. All
others, and those for which that call gave no clear result, are claimed alone. Either way a claim
is one conditional update of one row, so no two workers get the same job.
"""

from collections.abc import Iterable

import msgspec
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock
from chalicelib.kernel.jobs import ledger
from chalicelib.kernel.jobs.ledger import PARKED, PREFIX, Job
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import batch_update
from chalicelib.kernel.store.batch_update import ConditionalUpdate

_MIN_SHARED = 2  #: jobs; a shared call for fewer would save nothing

Key = tuple[str, str]  #: tenant id, job id


class Claim(msgspec.Struct, frozen=True):
    """A job that belongs to this worker until `job.lease_until`."""

    job: Job
    took_over: bool  #: True when the attempt before left no result: it crashed or was too slow


class Unsettled(msgspec.Struct, frozen=True):
    """A job that a shared call may or may not have claimed under this token.

    A claim of that job alone uses the same token, and so recognises the shared claim as its own.
    """

    token: str


def claim_first_attempts(keys: Iterable[Key]) -> dict[Key, Claim | Unsettled]:
    """Claims, in one call, those of the jobs that wait for their first attempt.

    Empty for fewer than two jobs. A result is good for one attempt: a second message of the same
    job needs a claim of its own. Raises nothing.
    """
    unique_keys, token = list(dict.fromkeys(keys))[: batch_update.MAX_STATEMENTS], clock.new_id()
    if len(unique_keys) < _MIN_SHARED:
        return {}
    actions = _claiming(token, clock.epoch_seconds())
    is_first = (Job.status == "queued") & Job.not_before.does_not_exist()
    is_first &= Job.due_shard < PARKED  # one that is parked would be left where it is
    rows = (Job(tenant_id, PREFIX + job_id) for tenant_id, job_id in unique_keys)
    updates = [ConditionalUpdate(row, actions, is_first) for row in rows]
    items = batch_update.execute(updates, read=True)
    return {key: _claim_from(item, token) for key, item in zip(unique_keys, items, strict=True)}


def _claim_from(item: batch_update.Item | None, token: str) -> Claim | Unsettled:
    if item is None or item.get("claim_token") != {"S": token}:
        return Unsettled(token)
    try:
        return Claim(Job.from_raw_data(item), took_over=False)
    except Exception:  # noqa: BLE001  an unreadable row raises again when it is claimed alone
        return Unsettled(token)


def claim(tenant_id: str, job_id: str, token: str | None = None) -> Claim | Job | None:
    """Claims the job if its time has come; otherwise the row as it is, None if there is no row.

    Safe to repeat: a claim whose answer was lost is recognised by the token. A job that still runs
    after its lease is taken over on the condition that it runs under the claim that was read: of
    two workers one gets it, and a job that the late worker has ended meanwhile stays ended.
    """
    token, now = token or clock.new_id(), clock.epoch_seconds()
    waiting = (Job.status == "queued") & (Job.not_before.does_not_exist() | (Job.not_before <= now))
    job = Job(tenant_id, PREFIX + job_id)
    claiming = [*_claiming(token, now), Job.due_shard.set(ledger.shard_of(job_id))]
    if job.change_if(waiting, claiming, read=True):
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
    """The job runs under the same claim. The token alone is not enough: ended jobs keep theirs."""
    condition: Condition = (Job.claim_token == job.claim_token) & (Job.status == "running")
    return condition


def _claiming(token: str, now: int) -> list[Action]:
    lease_until = now + settings.lease_seconds
    return [
        Job.status.set("running"),
        Job.claim_token.set(token),
        Job.lease_until.set(lease_until),
        Job.due_at.set(lease_until + settings.push_grace_seconds),
        Job.attempts.set(Job.attempts + 1),
    ]
