"""Background work on projects."""

from chalicelib.kernel.jobs.registry import Context, job
from chalicelib.kernel.jobs.retry import Backoff

_SOON = Backoff(first_seconds=5, max_seconds=60)
_RESERVE_SECONDS = 10  #: kept in reserve, to queue the rest of the work in time


@job(tries=8, retry=_SOON)
def start(context: Context, *, project_id: str, run: int) -> None:
    """Start the workflow of a project's run. Safe to repeat: a run has one execution."""
    # Late: saves changes of people, which queue a job of this module, the whole workflow.
    from chalicelib.projects.workflow import runs

    runs.start(context.tenant_id, project_id, run)


@job(tries=8, retry=_SOON)
def go_on(context: Context, *, project_id: str, run: int) -> None:
    """Begin a run anew that was parked while its tenant was suspended. Safe to repeat."""
    # Late: saves the same as in `start`.
    from chalicelib.projects.workflow import parking

    parking.go_on(context.tenant_id, project_id, run)


@job(tries=8, retry=_SOON)
def suspend(context: Context, *, project_id: str) -> None:
    """Switch a project off at its provider. Safe to repeat."""
    _switch(context, project_id, on=False)


@job(tries=8, retry=_SOON)
def resume(context: Context, *, project_id: str) -> None:
    """Switch a project on again at its provider. Safe to repeat."""
    _switch(context, project_id, on=True)


def _switch(context: Context, project_id: str, *, on: bool) -> None:
    # Late: saves the same as in `start`.
    from chalicelib.projects.workflow import provider_project

    provider_project.switch(context.tenant_id, project_id, on=on)


@job(tries=8, retry=_SOON, on="people.changed")
def follow_person(context: Context, *, person_id: str, after: str = "") -> None:
    """Bring somebody's parts in projects up to date. Safe to repeat, and in any order.

    The function keeps this name, since the name of a job stands in stored rows and messages.
    """
    # Late: saves the same as in `start`.
    from chalicelib.projects.workflow import profile_sync

    def has_time() -> bool:
        return context.remaining_seconds() > _RESERVE_SECONDS

    profile_sync.sync_person(context.tenant_id, person_id, after, has_time)
