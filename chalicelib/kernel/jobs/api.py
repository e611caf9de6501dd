"""Reading jobs: `GET /admin/v1/jobs`, one and list."""

from typing import Any, Literal

from chalicelib.kernel import clock, paging
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.http import Reply, Routes
from chalicelib.kernel.jobs import ledger, lists
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.paging import PageQuery
from chalicelib.kernel.tenancy import MANAGERS, Caller

routes = Routes()

Status = Literal["queued", "running", "done", "failed", "cancelled", "skipped", "expired"]


class JobsQuery(PageQuery, frozen=True, kw_only=True):
    """Filters of the list of jobs."""

    status: Status | None = None
    type: str | None = None


@routes.get("/admin/v1/jobs", allow=MANAGERS)
def list_jobs(caller: Caller, query: JobsQuery) -> Reply:
    """The tenant's jobs, newest first."""
    wanted = lists.matching(status=query.status, type=query.type)
    page = paging.read([lists.newest(caller.tenant_id, wanted)], query, caller.tenant_id, "jobs")
    return Reply([view(job) for job in page.items], meta=page.meta)


@routes.get("/admin/v1/jobs/{job_id}", allow=MANAGERS)
def get_job(caller: Caller, job_id: str) -> Reply:
    """One job with the history of its attempts."""
    job = ledger.get(caller.tenant_id, job_id)
    if job is None:
        raise NotFound("No job of this id")
    return Reply({**view(job), "history": job.history})


def view(job: Job) -> dict[str, Any]:
    """A job as the API shows it."""
    return {
        "id": job.id,
        "type": job.type,
        "status": job.status,
        "attempts": int(job.attempts),
        "max_attempts": int(job.max_attempts),
        "last_error": job.last_error,
        "next_attempt_at": _next_attempt_at(job),
        "batch_id": job.batch_id,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
    }


def _next_attempt_at(job: Job) -> str | None:
    if job.status != "queued" or job.not_before is None:
        return None
    return clock.iso_seconds(int(job.not_before))
