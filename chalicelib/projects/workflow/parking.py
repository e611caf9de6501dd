"""Runs of a suspended tenant: parked as one, and begun anew when the tenant is active again.

A step that finds its tenant suspended ends the run's execution and leaves a job, `projects.go_on`,
which the worker parks like every job of the tenant (kernel/jobs/parking.py). Meanwhile the run's
clock stands still. What the run has done stays done: the next run goes on from there, since runs
converge. The reconciler looks at a parked run once an hour, and begins it anew should its job have
failed.
"""

import contextlib

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.errors import Skip
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.projects import durations, models
from chalicelib.projects.models import Project
from chalicelib.projects.workflow import progress, runs

_CHECK_SECONDS = 3600  #: between two looks of the reconciler at a parked run
_LEAST_SECONDS = 60  #: that a run gets when it goes on, however late it was


def park_if_suspended(project: Project) -> bool:
    """Parks the run if its tenant is suspended; False if it may go on.

    Raises Overtaken when the run has ended meanwhile, or was parked by another step.
    """
    tenant_id = str(project.tenant)
    if not tenancy.is_suspended(tenant_id):
        return False
    now = clock.epoch_seconds()
    left_seconds = int(project.limit_at) - now
    tx = Transaction(tenant_id)
    actions = [
        Project.parked_seconds.set(max(_LEAST_SECONDS, left_seconds)),
        Project.parked_at.set(now),
        Project.watch_at.set(now + _CHECK_SECONDS),
    ]
    tx.update(project, actions, progress.current_run(project), progress.Overtaken())
    tx.enqueue("projects.go_on", project_id=project.id, run=int(project.run))
    tx.commit()
    telemetry.log.info("run parked", project=project.id, run=int(project.run))
    return True


def look_after(project: Project) -> None:
    """Begins a parked run anew if its tenant is active; its job should have done so long ago."""
    tenant_id, run = str(project.tenant), int(project.run)
    if tenancy.is_suspended(tenant_id):
        still_parked = runs.same_run(project) & Project.parked_seconds.exists()
        next_at = clock.epoch_seconds() + _CHECK_SECONDS
        project.change_if(still_parked, [Project.watch_at.set(next_at)])
        return
    telemetry.log.error("parked run begun anew by the reconciler", project=project.id, run=run)
    with contextlib.suppress(Skip):  # its job has come first
        go_on(tenant_id, project.id, run)


def go_on(tenant_id: str, project_id: str, run: int) -> None:
    """Begins a parked run anew, with the time that it had left; raises Skip when it is over.

    Safe to repeat: the commit is conditional on the run that was parked.
    """
    project = models.get_project(tenant_id, project_id)
    if project is None or int(project.run) != run or not project.is_parked:
        raise Skip("run-over")
    is_parked = runs.same_run(project) & Project.parked_seconds.exists()
    now, left_seconds = clock.epoch_seconds(), int(project.parked_seconds)
    paused_seconds = int(project.paused_seconds) + now - int(project.parked_at or now)
    started_at, percent = project.started_at, project.percent
    runs.enter(project, progress.kind_of(project), durations.find(project.provider))
    project.started_at, project.floor, project.paused_seconds = started_at, percent, paused_seconds
    project.limit_at = now + left_seconds
    tx = Transaction(tenant_id)
    unpark = [Project.parked_seconds.remove(), Project.parked_at.remove()]
    actions = [*runs.entering(project), *unpark]
    tx.update(project, actions, is_parked, progress.Overtaken())
    runs.enqueue_start(tx, project)
    try:
        tx.commit()
    except progress.Overtaken as overtaken:
        raise Skip("run-over") from overtaken
