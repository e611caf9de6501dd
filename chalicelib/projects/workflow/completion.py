"""How a run ends: counted again and decided in one transaction with its notice, or failed.

A run never ends well while anybody is missing: everyone's row is read once more, and the end is
conditional on nothing having been asked for meanwhile.
"""

from datetime import datetime
from typing import Literal

import msgspec
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.notify import notices
from chalicelib.kernel.settings import settings
from chalicelib.people import directory
from chalicelib.projects import durations, models
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.rules import Status
from chalicelib.projects.workflow import progress, user_batches

STEP = "finish"
Outcome = Literal["ok", "more", "failed"]
_DAY_SECONDS = 86_400


class Changed(AppError):
    """Something was asked for while the end was decided"""

    STATUS = 409


class Count(msgspec.Struct):
    """Everyone of a project, counted from their own rows."""

    total: int = 0
    synced: int = 0
    missing: int = 0  #: of them all who are not what is wanted, for whatever reason
    reason: str = ""  #: of one of those missing

    def take(self, project: Project, part: Participant) -> None:
        member = part.wanted == "member"
        self.total += member
        self.synced += member and part.state == "synced"
        if part.state == "failed" or not user_batches.is_settled(project, part):
            self.missing += 1
            self.reason = self.reason or part.error or ""


class Counted(msgspec.Struct, frozen=True):
    """What a count changes, and what must hold for it to be true."""

    actions: list[Action]
    condition: Condition


def finish(project: Project) -> Outcome:
    """Ends the run, well or not, or says that there is more to do. Raises Overtaken."""
    if _came_meanwhile(project):
        return "more"
    # By the number that was just looked at: `begin` reads the row anew.
    nothing_new = Project.requests == int(project.requests)
    progress.begin(project, STEP)
    count = Count()
    for part in models.participants_of(str(project.tenant), project.id):
        count.take(project, part)
    counted = Counted(_counted(project, count), nothing_new)
    try:
        if count.missing:
            _end(project, "failed", user_batches.STEP, _told(project, count), counted)
            return "failed"
        _end(project, _good_end(project), STEP, None, counted)
    except Changed:
        return "more"
    if project.kind == "provision":
        durations.add(project.provider, _seconds(project))
    return "ok"


def _came_meanwhile(project: Project) -> bool:
    if int(project.requests) != int(project.requests_seen):
        return True
    return bool(models.requests_of(str(project.tenant), project.id))


def _told(project: Project, count: Count) -> str:
    """The reason of a failure that some users are."""
    noted = progress.row_of(project, user_batches.STEP).get("error")
    why = count.reason or noted or "they were not reached"
    verb = "undone" if project.kind == "deprovision" else "synced"
    return f"{count.missing} of {max(count.total, count.missing)} users not {verb}; one: {why}"


def _good_end(project: Project) -> Status:
    return "deleted" if project.kind == "deprovision" else "active"


def _counted(project: Project, count: Count) -> list[Action]:
    """The counts as they are; while all is undone the total stays what there was to undo."""
    actions: list[Action] = [
        Project.users_synced.set(count.synced),
        Project.users_failed.set(count.missing),
    ]
    if project.kind != "deprovision":
        actions.append(Project.users_total.set(count.total))
    return actions


def fail(project: Project, step: str, reason: str | None) -> None:
    """Ends a run as failed at `step`; without a reason with what the step has noted last.

    Safe to repeat: raises Changed when the run is over.
    """
    noted = progress.row_of(project, step).get("error")
    why = reason or noted or "it ended without a word: it took too long, or crashed"
    _end(project, "failed", step, why, None)


def _end(
    project: Project, status: Status, step: str, reason: str | None, counted: Counted | None
) -> None:
    """One transaction: the status, the steps, the counts, and the notice."""
    tx = Transaction(str(project.tenant))
    now = clock.iso(clock.now())
    actions = [
        Project.status.set(status),
        Project.version.set(Project.version + 1),
        Project.completed_at.set(now),
        Project.floor.set(project.percent),
        Project.step.set(step),
        *_last_steps(project, status, step, reason),
        *(each.remove() for each in (Project.watch_at, Project.watch_shard)),
        *(counted.actions if counted else ()),
    ]
    if reason:
        actions.append(Project.error.set(f"{step}: {reason}"))
    if status == "deleted":
        actions += _leave(tx, project)
    condition = progress.mine(project)
    if counted:
        condition &= counted.condition
    tx.update(project, actions, condition, Changed())
    _tell_creator(tx, project, status)
    tx.commit()
    _say(project, status, step)


def _last_steps(project: Project, status: Status, step: str, reason: str | None) -> list[Action]:
    """No step is left at work."""
    if status == "failed":
        rows = project.step_rows
        others = [name for name, row in rows.items() if row["status"] == "running" and name != step]
        failed = progress.ended(project, step, "failed", reason)
        return [failed, *(progress.ended(project, name, "done") for name in others)]
    return [
        progress.ended(project, user_batches.STEP, "done"),
        progress.ended(project, STEP, "done"),
    ]


def _leave(tx: Transaction, project: Project) -> list[Action]:
    """The name is free again, and the row goes in its time."""
    tx.delete(models.name_guard(tx.tenant_id, project.name_key, project.id))
    expires = clock.epoch_seconds() + settings.retention_days * _DAY_SECONDS
    return [Project.expires_at.set(expires)]


def _tell_creator(tx: Transaction, project: Project, status: Status) -> None:
    """Adds the notice: of a project that is made, and of every run that failed."""
    if status == "failed":
        name = "projects.failed"
    elif status == "active" and project.kind == "provision":
        name = "projects.active"
    else:
        return
    to = directory.address_of(tx.tenant_id, project.created_by, project.creator_email)
    notices.enqueue(tx, name, {"email": to}, project_id=project.id, run=int(project.run))


def _say(project: Project, status: Status, step: str) -> None:
    seconds = _seconds(project)
    write = telemetry.log.warning if status == "failed" else telemetry.log.info
    write(
        "run ended",
        project=project.id,
        run=int(project.run),
        kind=project.kind,
        status=status,
        step=step,
        seconds=seconds,
    )
    telemetry.emit(
        {"runs": 1, "runs_failed": int(status == "failed"), "run_ms": seconds * 1000},
        provider=project.provider,
    )
    progress.tell_again(project)


def _seconds(project: Project) -> int:
    return int((clock.now() - datetime.fromisoformat(project.started_at)).total_seconds())
