"""Users in batches: they are listed page by page, and each batch is synced over one connection.

The results of a batch are saved in groups, each in one transaction with the project's counts. A
result is saved on the condition that the user's row has not changed since it was read, so of two
invocations for one batch only one counts a user. The failure of one user is recorded and does not
stop the others. Failures that may pass by themselves are tried `rules.TRIES` times in a run, which
the user's row counts; for them the whole invocation is repeated.
"""

from collections.abc import Iterator
from itertools import islice
from typing import cast

import msgspec
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.projects import models, rules
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.rules import SYNC_USERS, State, Wanted
from chalicelib.projects.workflow import credentials, progress

BATCH = 50  #: users of a batch, which has one invocation and one connection
MOST_BATCHES = 20  #: batches of a page, so that the history of an execution stays small
_KEEP_SECONDS = 30 * 86_400  #: how long the row of a removed participant is kept


class Page(msgspec.Struct, frozen=True):
    """A page of batches, each given by its first and its last user."""

    batches: list[dict[str, str]]
    next: str | None  #: the id after which the next page begins; None on the last page


def list_page(project: Project, after: str | None) -> Page:
    """One page of the users who are not settled. Raises Overtaken."""
    if after is None:
        progress.begin(project, SYNC_USERS, _requests_seen(project))
    waiting = [part.id for part in _waiting_after(project, f"{after}!" if after else "")]
    batches = [waiting[at : at + BATCH] for at in range(0, len(waiting), BATCH)]
    is_full = len(waiting) == BATCH * MOST_BATCHES
    ranges = [{"from": batch[0], "to": batch[-1]} for batch in batches]
    return Page(ranges, waiting[-1] if is_full else None)


def _requests_seen(project: Project) -> Action:
    """Saves which requests this listing includes; later ones may be missing from it."""
    action: Action = Project.requests_seen.set(int(project.requests))
    return action


def _waiting_after(project: Project, first: str) -> Iterator[Participant]:
    parts = models.participants_of(str(project.tenant), project.id, first)
    waiting = (part for part in parts if not is_settled(project, part))
    return islice(waiting, BATCH * MOST_BATCHES)


def waiting_between(project: Project, first: str, last: str) -> list[Participant]:
    """The users of a batch who are not settled, those with the fewest attempts first.

    So a few users who keep failing do not use up the time of the others.
    """
    parts = models.participants_of(str(project.tenant), project.id, first, last)
    waiting = [part for part in parts if not is_settled(project, part)]
    return sorted(waiting, key=lambda part: attempts_of(project, part))


def attempts_of(project: Project, part: Participant) -> int:
    """The number of this run's attempts at a user."""
    return int(part.attempts) if int(part.run) == int(project.run) else 0


def is_settled(project: Project, part: Participant) -> bool:
    """True when this run has nothing left to do for a user."""
    run, kind = int(project.run), progress.kind_of(project)
    wanted, state = cast("Wanted", part.wanted), cast("State", part.state)
    return rules.is_settled(kind, run, wanted, state, int(part.run))


def is_leaving(project: Project, part: Participant) -> bool:
    return bool(project.kind == "deprovision" or part.wanted == "gone")


class Result(msgspec.Struct, frozen=True):
    """The result of one attempt at one user."""

    part: Participant
    state: State
    error: str | None = None
    cloud_user_id: str | None = None


class _Late(Conflict):
    """Another invocation has saved this user's result, or the user was changed meanwhile"""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def save(project: Project, results: list[Result]) -> None:
    """Saves and counts the results of users whose row has not changed. Raises Overtaken."""
    while results:
        tx = WriteSet()
        for result in results:
            _add(tx, project, result)
        tx.update(project, _counts(results), progress.current_run(project), progress.Overtaken())
        try:
            tx.commit()
            break
        except _Late:
            late = [error.result for error in tx.failed if isinstance(error, _Late)]
            results = [result for result in results if result not in late]
            telemetry.log.info("results that came late", project=project.id, count=len(late))


def _add(tx: WriteSet, project: Project, result: Result) -> None:
    part = result.part
    unchanged = Participant.revision == int(part.revision)
    tx.update(part, _changes(project, result), unchanged, _Late(result))
    if result.state == "removed":
        tx.delete(credentials.row(str(project.tenant), project.id, part.id))


def _changes(project: Project, result: Result) -> list[Action]:
    part = result.part
    actions: list[Action] = [
        Participant.state.set(result.state),
        Participant.run.set(int(project.run)),
        Participant.attempts.set(attempts_of(project, part) + 1),
        Participant.revision.set(int(part.revision) + 1),
        Participant.changed_at.set(clock.iso(clock.now())),
        Participant.error.set(result.error) if result.error else Participant.error.remove(),
    ]
    if result.cloud_user_id:
        actions.append(Participant.cloud_user_id.set(result.cloud_user_id))
    if result.state == "removed":
        expires = clock.epoch_seconds() + _KEEP_SECONDS
        actions += [Participant.member_key.remove(), Participant.expires_at.set(expires)]
    return actions


def _counts(results: list[Result]) -> list[Action]:
    def count(state: State) -> int:
        return sum(result.state == state for result in results)

    were_synced = sum(
        result.state == "removed" and result.part.state == "synced" for result in results
    )
    return [
        Project.users_synced.add(count("synced") - were_synced),
        Project.users_failed.add(count("failed")),
        Project.users_removed.add(count("removed")),
    ]
