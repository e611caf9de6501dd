"""Background work on projects."""

from chalicelib.kernel.jobs.registry import Context, job
from chalicelib.kernel.jobs.retry import Backoff
from chalicelib.projects import cloud, following, runs

_SOON = Backoff(first_seconds=5, max_seconds=60)
_RESERVE_SECONDS = 10  #: left unused, so that the rest is queued in time


@job(tries=8, retry=_SOON)
def start(context: Context, *, project_id: str, run: int) -> None:
    """Start the workflow of a project's run. Safe to repeat: a run is one execution."""
    runs.start(context.tenant_id, project_id, run)


@job(tries=8, retry=_SOON)
def suspend(context: Context, *, project_id: str) -> None:
    """Switch a project off at its provider. Safe to repeat."""
    cloud.switch(context.tenant_id, project_id, on=False)


@job(tries=8, retry=_SOON)
def resume(context: Context, *, project_id: str) -> None:
    """Switch a project on again at its provider. Safe to repeat."""
    cloud.switch(context.tenant_id, project_id, on=True)


@job(tries=8, retry=_SOON)
def follow_person(context: Context, *, person_id: str, after: str = "") -> None:
    """Give somebody's parts in projects what they are now. Safe to repeat, in any order."""

    def has_time() -> bool:
        return context.remaining_seconds() > _RESERVE_SECONDS

    following.follow(context.tenant_id, person_id, after, has_time)
