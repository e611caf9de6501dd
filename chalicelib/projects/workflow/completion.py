"""How a run ends: its users are counted again, and its status is saved with the creator's notice.

A run never succeeds while a user is missing: all rows are read once more, and the end is
conditional on no request having come meanwhile.
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
from chalicelib.projects import durations, guards, models
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.rules import FINISH, SYNC_USERS, Status
from chalicelib.projects.workflow import progress, user_batches

Outcome = Literal["ok", "more", "failed"]
_DAY_SECONDS = 86_400


class Changed(AppError):
    """There was a new request, or the run is over, when its end was to be saved"""

    STATUS = 409


class Count(msgspec.Struct):
    """The participants of a project, counted from their own rows."""

    total: int = 0
    synced: int = 0
    missing: int = 0  #: participants whom the run has not synced or removed, or who failed
    reason: str = ""  #: the error of one of the missing

    def add(self, project: Project, part: Participant) -> None:
        is_member = part.wanted == "member"
        self.total += is_member
        self.synced += is_member and part.state == "synced"
        if part.state == "failed" or not user_batches.is_settled(project, part):
            self.missing += 1
            self.reason = self.reason or part.error or ""


class Counted(msgspec.Struct, frozen=True):
    """The changes that follow from a count, and the condition on which it is still right."""

    actions: list[Action]
    condition: Condition


def finish(project: Project) -> Outcome:
    """Ends the run, well or not, unless there is more to do. Raises Overtaken."""
    if _has_new_requests(project):
        return "more"
    # Of the row as it was just checked, since `begin` reads the row again.
    no_new_requests = Project.requests == int(project.requests)
    progress.begin(project, FINISH)
    count = Count()
    for part in models.participants_of(str(project.tenant), project.id):
        count.add(project, part)
    counted = Counted(_count_actions(project, count), no_new_requests)
    try:
        if count.missing:
            _end(project, "failed", SYNC_USERS, _failure_reason(project, count), counted)
            return "failed"
        _end(project, _success_status(project), FINISH, None, counted)
    except Changed:
        return "more"
    if project.kind == "provision":
        durations.add(project.provider, _seconds(project))
    return "ok"


def _has_new_requests(project: Project) -> bool:
    if int(project.requests) != int(project.requests_seen):
        return True
    return bool(models.requests_of(str(project.tenant), project.id))


def _failure_reason(project: Project, count: Count) -> str:
    """The reason of a run that failed because of some users."""
    last_error = progress.row_of(project, SYNC_USERS).get("error")
    reason = count.reason or last_error or "there was no attempt"
    verb = "removed" if project.kind == "deprovision" else "synced"
    total = max(count.total, count.missing)
    return f"{count.missing} of {total} users could not be {verb}; for one of them: {reason}"


def _success_status(project: Project) -> Status:
    return "deleted" if project.kind == "deprovision" else "active"


def _count_actions(project: Project, count: Count) -> list[Action]:
    """Saves the counts. In a deletion the total stays the number of users to remove."""
    actions: list[Action] = [
        Project.users_synced.set(count.synced),
        Project.users_failed.set(count.missing),
    ]
    if project.kind != "deprovision":
        actions.append(Project.users_total.set(count.total))
    return actions


def fail(project: Project, step: str, reason: str | None, only_if: Condition | None = None) -> None:
    """Ends a run as failed at `step`; the default reason is the last error of the step.

    Safe to repeat: raises Changed when the run is over, or `only_if` does not hold.
    """
    last_error = progress.row_of(project, step).get("error")
    reason = reason or last_error or "it ended without an error: it took too long, or crashed"
    _end(project, "failed", step, reason, only_if=only_if)


def _end(
    project: Project,
    status: Status,
    step: str,
    reason: str | None,
    counted: Counted | None = None,
    only_if: Condition | None = None,
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
        Project.watch_at.remove(),
        Project.watch_shard.remove(),
        *(counted.actions if counted else ()),
    ]
    if reason:
        actions.append(Project.error.set(f"{step}: {reason}"))
    if status == "deleted":
        actions += _release(tx, project)
    condition = progress.current_run(project)
    for more in (counted and counted.condition, only_if):
        if more is not None:
            condition &= more
    tx.update(project, actions, condition, Changed())
    _notify_creator(tx, project, status)
    tx.commit()
    _record(project, status, step)


def _last_steps(project: Project, status: Status, step: str, reason: str | None) -> list[Action]:
    """Ends the last step, and every other step that is still running."""
    if status == "failed":
        rows = project.step_rows
        others = [name for name, row in rows.items() if row["status"] == "running" and name != step]
        failed = progress.end_action(project, step, "failed", reason)
        return [failed, *(progress.end_action(project, name, "done") for name in others)]
    return [progress.end_action(project, name, "done") for name in (SYNC_USERS, FINISH)]


def _release(tx: Transaction, project: Project) -> list[Action]:
    """Frees the name of a deleted project and lets its row expire."""
    tx.delete(guards.of_name(tx.tenant_id, project.name_key, project.id))
    expires = clock.epoch_seconds() + settings.retention_days * _DAY_SECONDS
    guard = guards.of_identifier(tx.tenant_id, project.identifier, project.id)
    guard.expires_at = expires  # together with the row that it leads to
    tx.save(guard)
    return [Project.expires_at.set(expires)]


def _notify_creator(tx: Transaction, project: Project, status: Status) -> None:
    """Adds the notice about a project that is ready, and about every run that failed."""
    if status == "failed":
        name = "projects.failed"
    elif status == "active" and project.kind == "provision":
        name = "projects.active"
    else:
        return
    to = directory.address_of(tx.tenant_id, project.created_by, project.creator_email)
    notices.enqueue(tx, name, {"email": to}, project_id=project.id, run=int(project.run))


def _record(project: Project, status: Status, step: str) -> None:
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
    progress.push_current(project)


def _seconds(project: Project) -> int:
    """How long the run was at work, without the time for which it was parked."""
    passed = clock.now() - datetime.fromisoformat(project.started_at)
    return max(0, int(passed.total_seconds()) - int(project.paused_seconds))
