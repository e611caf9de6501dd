"""Users in batches: listed page by page, then each batch synced over one connection.

A batch makes each of its users what is wanted, and saves the results some at a time in one
transaction with the project's counts. A result is saved on the condition that the user's row is
as it was read: of two invocations for one batch each user is counted by one of them.
One user's failure is recorded and does not stop the others. What may pass by itself is tried
`rules.TRIES` times in a run, which the row counts; the invocation is repeated for it as a whole.
"""

from collections.abc import Iterator
from typing import cast

import msgspec
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.projects import models, rules
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.rules import State, Wanted
from chalicelib.projects.workflow import credentials, progress

STEP = "sync_users"
BATCH = 50  #: users of one invocation, and of one connection
MOST_BATCHES = 20  #: of one page, so that a run's history stays small
_KEEP_SECONDS = 30 * 86_400  #: a participant removed is kept for so long


class Listed(msgspec.Struct, frozen=True):
    """A page of batches: the first and the last of the users of each, and where to go on."""

    batches: list[dict[str, str]]
    following: str | None


def list_page(project: Project, after: str | None) -> Listed:
    """One page of those who are not what is wanted. Raises Overtaken."""
    if after is None:
        progress.begin(project, STEP, _requests_seen(project))
    waiting = [each.id for each in _page(project, f"{after}!" if after else "")]
    batches = [waiting[at : at + BATCH] for at in range(0, len(waiting), BATCH)]
    full = len(waiting) == BATCH * MOST_BATCHES
    ends = [{"from": batch[0], "to": batch[-1]} for batch in batches]
    return Listed(ends, waiting[-1] if full else None)


def _requests_seen(project: Project) -> Action:
    """Whoever asks for a change from here on may have come too late for this listing."""
    action: Action = Project.requests_seen.set(int(project.requests))
    return action


def _page(project: Project, first: str) -> Iterator[Participant]:
    found = models.participants_of(str(project.tenant), project.id, first)
    waiting = (each for each in found if not is_settled(project, each))
    return (each for each, _ in zip(waiting, range(BATCH * MOST_BATCHES), strict=False))


def waiting_between(project: Project, first: str, last: str) -> list[Participant]:
    """Those of a batch who are not what is wanted, who failed least often first.

    So a few who keep failing do not use up the others' time.
    """
    found = models.participants_of(str(project.tenant), project.id, first, last)
    waiting = [each for each in found if not is_settled(project, each)]
    return sorted(waiting, key=lambda each: attempts_of(project, each))


def attempts_of(project: Project, part: Participant) -> int:
    """How often this run has tried somebody."""
    return int(part.attempts) if int(part.run) == int(project.run) else 0


def is_settled(project: Project, part: Participant) -> bool:
    """True when this run has nothing left to do for somebody."""
    run, kind = int(project.run), progress.kind_of(project)
    wanted, state = cast("Wanted", part.wanted), cast("State", part.state)
    return rules.is_settled(kind, run, wanted, state, int(part.run))


def is_going(project: Project, part: Participant) -> bool:
    return bool(project.kind == "deprovision" or part.wanted == "gone")


class Result(msgspec.Struct, frozen=True):
    """What came of one user in one attempt."""

    part: Participant
    state: State
    error: str | None = None
    cloud_user_id: str | None = None


class _Late(Conflict):
    """Another invocation has saved this user's result, or something else is wanted by now"""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def save(project: Project, results: list[Result]) -> None:
    """Saves and counts results, each unless its user's row has changed. Raises Overtaken."""
    while results:
        tx = WriteSet()
        for each in results:
            _add(tx, project, each)
        tx.update(project, _counts(results), progress.mine(project), progress.Overtaken())
        try:
            tx.commit()
            break
        except _Late:
            late = [each.result for each in tx.failed if isinstance(each, _Late)]
            results = [each for each in results if each not in late]
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
        return sum(each.state == state for each in results)

    undone = sum(each.state == "removed" and each.part.state == "synced" for each in results)
    return [
        Project.users_synced.add(count("synced") - undone),
        Project.users_failed.add(count("failed")),
        Project.users_removed.add(count("removed")),
    ]
