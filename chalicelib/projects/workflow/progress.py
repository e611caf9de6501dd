"""The progress of a run: its step, the attempts, the last error. Pushed to clients that follow it.

A run has one running step at a time, but perhaps two attempts at it, so beginning a step is
conditional on the row that was read. Users are counted where their results are saved
(`user_batches.py`). The percentage is computed from both when it is read. `floor` keeps it from
falling when more work turns up.
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

Row = dict[str, Any]  #: a step's status, started_at, finished_at, attempts and error
_LONGEST_ERROR = 500


class Overtaken(AppError):
    """The run has ended, or another one has begun"""

    STATUS = 409
    PRIORITY = 0


def current_run(project: Project) -> Condition:
    """Holds while the run of `project`, as it was read, is running and not parked."""
    is_running: Condition = (Project.run == int(project.run)) & Project.status.is_in(*rules.RUNNING)
    is_running &= Project.parked_seconds.does_not_exist()
    return is_running


def counts_unchanged(project: Project) -> Condition:
    """Holds while nobody else has counted users, set the floor, or begun to sync the users, from
    when on they count: so a new floor is not too low.
    """
    unchanged: Condition = Project.floor == int(project.floor)
    unchanged &= row_unchanged(project, rules.SYNC_USERS)
    for name in ("users_total", "users_synced", "users_failed", "users_removed"):
        unchanged &= getattr(Project, name) == int(getattr(project, name))
    return unchanged


def new_rows(kind: Kind) -> dict[str, Row]:
    """The rows of the steps of a run that has not begun."""
    return {name: {"status": "waiting", "attempts": 0} for name in rules.STEPS[kind]}


def row_of(project: Project, step: str) -> Row:
    row = project.step_rows.get(step)
    return dict(row) if row else {"status": "waiting", "attempts": 0}


def begin(project: Project, step: str, *more: Action) -> None:
    """Saves that `step` is running, for the first time or again. Raises Overtaken.

    Of two attempts at once the later one goes on from what the other has saved, so that no progress
    is lost.
    """
    run = int(project.run)
    while True:
        try:
            _begin(project, step, *more)
            break
        except Overtaken:
            project.refresh(consistent_read=True)
            if int(project.run) != run or not project.is_running or project.is_parked:
                raise
    push(project)


def _begin(project: Project, step: str, *more: Action) -> None:
    row = row_of(project, step)
    now = clock.iso(clock.now())
    running = {
        "status": "running",
        "started_at": row.get("started_at") or now,
        "attempts": int(row["attempts"]) + 1,
    }
    actions = [*_set(step, running), Project.step.set(step), *more]
    unchanged = row_unchanged(project, step)
    if row["status"] == "done":  # its share is missing from the percentage until it is done again
        actions.append(Project.floor.set(project.percent))
        unchanged &= counts_unchanged(project)
    _write(project, actions, unchanged)


def row_unchanged(project: Project, step: str) -> Condition:
    """Holds while nobody else has saved the step's row."""
    row = project.step_rows.get(step)
    path = Project.steps[step]
    unchanged: Condition = path == row if row else path.does_not_exist()
    return unchanged


def end(project: Project, step: str, *more: Action) -> None:
    """Saves that `step` is done. Raises Overtaken."""
    _write(project, [end_action(project, step, "done"), *more])
    push(project)


def end_action(project: Project, step: str, status: StepStatus, error: str | None = None) -> Action:
    """The action that ends `step` in a transaction of the caller's."""
    (action,) = _set(step, _ended_row(project, step, status, error))
    return action


def _ended_row(project: Project, step: str, status: StepStatus, error: str | None) -> Row:
    row = row_of(project, step)
    now = clock.iso(clock.now())
    kept = {"started_at": row.get("started_at") or now, "attempts": int(row["attempts"])}
    shown = {"error": error[:_LONGEST_ERROR]} if error else {}
    return {"status": status, "finished_at": now, **kept, **shown}


def note_error(project: Project, step: str, error: str) -> None:
    """Saves why an attempt at a step failed, for people and as the reason if the run fails.

    Never raises, since the caller raises the error itself.
    """
    try:
        row = {**row_of(project, step), "error": error[:_LONGEST_ERROR]}
        _write(project, _set(step, row), row_unchanged(project, step))
    except (AppError, PynamoDBException) as trouble:
        telemetry.log.warning("a step's error is not kept", error=type(trouble).__name__)


def _set(step: str, row: Row) -> list[Action]:
    return [Project.steps[step].set(row)]


def _write(project: Project, actions: list[Action], unchanged: Condition | None = None) -> None:
    condition = current_run(project)
    if unchanged is not None:
        condition &= unchanged
    if not project.change_if(condition, actions, read=True):
        raise Overtaken


def read_run(tenant_id: str, project_id: str, run: int) -> Project:
    """The project, while this run is running and not parked; raises Overtaken."""
    project = models.get_project(tenant_id, project_id)
    if project is None or int(project.run) != run or not project.is_running:
        raise Overtaken
    if project.is_parked:
        raise Overtaken
    return project


def push(project: Project) -> None:
    """Pushes the progress to the clients that follow the project; polling shows the same."""
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


def push_current(project: Project) -> None:
    """Reads the project again and pushes its progress, to which other invocations contribute."""
    now = models.get_project(str(project.tenant), project.id, consistent=False)
    if now is not None:
        push(now)


def kind_of(project: Project) -> Kind:
    return cast("Kind", project.kind)
