"""How far a run is: which step, how often tried, what went wrong. Told to whoever watches.

Only one step of a run is at work at a time, but perhaps in two attempts, so a step is begun from
its row as it stands; users that are synced side by side count themselves (`user_batches.py`). The
percentage is worked out from both when it is read, and `floor` keeps it from going back when there
turns out to be more.
"""

from typing import Any, cast

from pynamodb.exceptions import PynamoDBException
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.sockets import connections
from chalicelib.projects import models, rules
from chalicelib.projects.models import Project
from chalicelib.projects.rules import Kind, StepStatus

Row = dict[str, Any]  #: of a step: status, started_at, finished_at, attempts, error
_LONGEST_ERROR = 500


class Overtaken(AppError):
    """The run has ended, or another one has begun"""

    STATUS = 409
    PRIORITY = 0


def mine(project: Project) -> Condition:
    """Holds while the run that `project` was read in is at work."""
    holds: Condition = (Project.run == int(project.run)) & Project.status.is_in(*rules.RUNNING)
    return holds


def as_counted(project: Project) -> Condition:
    """Holds while nobody else has counted users or set the floor: then a floor is no step back."""
    holds: Condition = Project.floor == int(project.floor)
    for name in ("users_total", "users_synced", "users_failed", "users_removed"):
        holds &= getattr(Project, name) == int(getattr(project, name))
    return holds


def fresh(kind: Kind) -> dict[str, Row]:
    """The steps of a run that has not begun."""
    return {name: {"status": "waiting", "attempts": 0} for name in rules.STEPS[kind]}


def row_of(project: Project, step: str) -> Row:
    found = project.step_rows.get(step)
    return dict(found) if found else {"status": "waiting", "attempts": 0}


def begin(project: Project, step: str, *more: Action) -> None:
    """Says that `step` is at work, for the first time or again. Raises Overtaken.

    Of two attempts at once each builds on what the other has written: neither takes progress back.
    """
    run = int(project.run)
    while True:
        try:
            _begin(project, step, *more)
            break
        except Overtaken:
            project.refresh(consistent_read=True)
            if int(project.run) != run or not project.is_running:
                raise
    tell(project)


def _begin(project: Project, step: str, *more: Action) -> None:
    row = row_of(project, step)
    now = clock.iso(clock.now())
    begun = {
        "status": "running",
        "started_at": row.get("started_at") or now,
        "attempts": int(row["attempts"]) + 1,
    }
    actions, holds = [*_set(step, begun), Project.step.set(step), *more], _as_seen(project, step)
    if row["status"] == "done":  # the step counts for nothing again until it is
        actions.append(Project.floor.set(project.percent))
        holds &= as_counted(project)
    _write(project, actions, holds)


def _as_seen(project: Project, step: str) -> Condition:
    """Holds while nobody else has written the step's row."""
    found = project.step_rows.get(step)
    path = Project.steps[step]
    holds: Condition = path == found if found else path.does_not_exist()
    return holds


def end(project: Project, step: str, *more: Action) -> None:
    """Says that `step` is done. Raises Overtaken."""
    _write(project, [*_set(step, ended_row(project, step, "done")), *more])
    tell(project)


def ended(project: Project, step: str, status: StepStatus, error: str | None = None) -> Action:
    """For a transaction in which `step` ends."""
    (action,) = _set(step, ended_row(project, step, status, error))
    return action


def ended_row(project: Project, step: str, status: StepStatus, error: str | None = None) -> Row:
    row = row_of(project, step)
    now = clock.iso(clock.now())
    kept = {"started_at": row.get("started_at") or now, "attempts": int(row["attempts"])}
    told = {"error": error[:_LONGEST_ERROR]} if error else {}
    return {"status": status, "finished_at": now, **kept, **told}


def note(project: Project, step: str, error: str) -> None:
    """Keeps why a step's attempt came to nothing, for people and for the reason of a failure.

    Left out when it cannot be written: the trouble itself is what is raised.
    """
    try:
        row = row_of(project, step)
        told = {**row, "error": error[:_LONGEST_ERROR]}
        _write(project, _set(step, told), _as_seen(project, step))
    except (AppError, PynamoDBException) as trouble:
        telemetry.log.warning("a step's error is not kept", error=type(trouble).__name__)


def _set(step: str, row: Row) -> list[Action]:
    return [Project.steps[step].set(row)]


def _write(project: Project, actions: list[Action], also: Condition | None = None) -> None:
    holds = mine(project) & also if also is not None else mine(project)
    if not project.change_if(holds, actions, read=True):
        raise Overtaken


def read_run(tenant_id: str, project_id: str, run: int) -> Project:
    """The project while this run is at work on it; raises Overtaken."""
    project = models.get_project(tenant_id, project_id)
    if project is None or int(project.run) != run or not project.is_running:
        raise Overtaken
    return project


def tell(project: Project) -> None:
    """Pushes how far the project is to those who watch it. Polling stays the truth."""
    users = project.users
    connections.push(
        str(project.tenant),
        f"project#{project.id}",
        {
            "id": project.id,
            "status": project.status,
            "step": project.step,
            "percent": project.percent,
            "users": {"total": users.total, "synced": users.synced, "failed": users.failed},
        },
    )


def tell_again(project: Project) -> None:
    """Reads and pushes how far the project is by now: others count into it too."""
    now = models.get_project(str(project.tenant), project.id, consistent=False)
    if now is not None:
        tell(now)


def kind_of(project: Project) -> Kind:
    return cast("Kind", project.kind)
