"""Claims: a job is one worker's for `lease_seconds`, under a token that only it has.

A batch's jobs that wait for their first attempt are taken in one call; any other, and whatever
that call did not plainly take, is taken alone. Either way a claim is one conditional change of one
row, so no two workers get the same.
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
from chalicelib.kernel.store.batch_update import Change

_FEWEST = 2  #: jobs for which the call of several spares one

Key = tuple[str, str]  #: tenant id, job id


class Claim(msgspec.Struct, frozen=True):
    """A job taken by this worker until `job.lease_until`."""

    job: Job
    took_over: bool  #: True when an earlier attempt ended without a word: crashed or too slow


def claim_first_attempts(keys: Iterable[Key]) -> dict[Key, Claim | str]:
    """Takes those of these jobs that wait for their first attempt, in one call.

    For each its claim; or the token to go on with in `claim`, since the job may have been taken
    under it by a call whose answer was lost. Each is for one attempt only: a second message of the
    same job goes on without. Raises nothing.
    """
    wanted, token = list(dict.fromkeys(keys))[: batch_update.MOST], clock.new_id()
    if len(wanted) < _FEWEST:
        return {}
    actions = _claiming(token, clock.epoch_seconds())
    first = (Job.status == "queued") & Job.not_before.does_not_exist()
    rows = (Job(tenant_id, PREFIX + job_id) for tenant_id, job_id in wanted)
    items = batch_update.make([Change(row, actions, first) for row in rows], read=True)
    return {key: _taken(item, token) for key, item in zip(wanted, items, strict=True)}


def _taken(item: batch_update.Item | None, token: str) -> Claim | str:
    if item is None or item.get("claim_token") != {"S": token}:
        return token
    try:
        return Claim(Job.from_raw_data(item), took_over=False)
    except Exception:  # noqa: BLE001  a row that cannot be read: told when its turn comes
        return token


def claim(tenant_id: str, job_id: str, token: str | None = None) -> Claim | Job | None:
    """Takes the job if it is its time: a Claim; else the row as it is; None if there is no row.

    Safe to repeat: an answer that was lost is recognised by the token. A row left running beyond
    its lease is taken over only from the claim that was seen and while it runs: of two workers one
    gets it, and a late worker that ended it meanwhile is not undone.
    """
    token, now = token or clock.new_id(), clock.epoch_seconds()
    waiting = (Job.status == "queued") & (Job.not_before.does_not_exist() | (Job.not_before <= now))
    job = Job(tenant_id, PREFIX + job_id)
    if ledger.change(job, _claiming(token, now), waiting, read=True):
        return Claim(job, took_over=False)
    seen = ledger.get(tenant_id, job_id, consistent=True)
    if seen is None or seen.claim_token == token:
        return seen and Claim(seen, took_over=False)
    if seen.status != "running" or seen.lease_until >= now:
        return seen
    if ledger.change(seen, _claiming(token, now), _still_runs(seen), read=True):
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
