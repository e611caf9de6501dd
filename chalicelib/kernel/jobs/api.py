"""Reading jobs and batches."""

from typing import Any, Literal

import msgspec

from chalicelib.kernel import clock
from chalicelib.kernel.auth.tenancy import EVERYONE, MANAGERS, Caller
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.http.routes import Calls, Reply, Routes
from chalicelib.kernel.jobs import batches, ledger, queries
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.registry import ErrorView
from chalicelib.kernel.store import paging
from chalicelib.kernel.store.paging import Filter, PageQuery

routes = Routes()

Status = Literal["queued", "running", "done", "failed", "cancelled", "skipped", "expired"]


class JobsQuery(PageQuery, frozen=True, kw_only=True):
    """Filters of the list of jobs."""

    status: Status | None = None
    type: Filter | None = None


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job."""

    id: str
    type: str
    status: Status
    attempts: int
    max_attempts: int
    last_error: str | None
    next_attempt_at: str | None
    batch_id: str | None
    created_at: str
    finished_at: str | None


class OneJobView(JobView, frozen=True, kw_only=True):
    """A job with the history of its attempts: failures, waits, and how the last one ended."""

    history: list[dict[str, Any]]


@routes.get(
    "/admin/v1/jobs",
    allow=MANAGERS,
    answers=JobView,
    paginated=True,
    calls=Calls(dynamodb=paging.MAX_CALLS),
)
def list_jobs(caller: Caller, query: JobsQuery) -> Reply:
    """The tenant's jobs, newest first."""
    only = queries.matching(queries.shown_as(query.status), type=query.type)
    page = paging.read([queries.newest(caller.tenant_id, only)], query, caller.tenant_id, "jobs")
    return Reply([view(job) for job in page.items], meta=page.meta)


@routes.get(
    "/admin/v1/jobs/{job_id}",
    allow=MANAGERS,
    answers=OneJobView,
    errors=(404,),
    calls=Calls(dynamodb=1),
)
def get_job(caller: Caller, job_id: str) -> Reply:
    """One job with the history of its attempts."""
    job = ledger.get(caller.tenant_id, job_id)
    if job is None:
        raise NotFound("There is no job with this id")
    return Reply(OneJobView(**_fields(job), history=[*job.history, *_ending(job)]))


def view(job: Job) -> JobView:
    """A job as the API shows it."""
    return JobView(**_fields(job))


def _fields(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "type": job.type,
        "status": ledger.shown_status(job),
        "attempts": int(job.attempts),
        "max_attempts": int(job.max_attempts),
        "last_error": job.last_error,
        "next_attempt_at": _next_attempt_at(job),
        "batch_id": job.batch_id,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
    }


def _ending(job: Job) -> list[dict[str, Any]]:
    """An entry for the end of the last attempt, unless the history has one.

    A job that was cancelled while it waited is under no claim, so no attempt ended with it.
    """
    if not job.ended or job.status == "failed" or job.claim_token is None:
        return []
    # A job that is done still holds the error of an earlier attempt.
    detail = "" if job.status == "done" else job.last_error
    return [
        {
            "at": job.finished_at,
            "attempt": int(job.attempts),
            "outcome": ledger.shown_status(job),
            "detail": detail,
        }
    ]


def _next_attempt_at(job: Job) -> str | None:
    if job.status != "queued" or job.not_before is None:
        return None
    return clock.iso_seconds(int(job.not_before))


class BatchView(msgspec.Struct, frozen=True, kw_only=True):
    """A batch's progress: `done` includes failures, `eta_seconds` is 0 until a tenth is done."""

    id: str
    total: int
    done: int
    failed: int
    percent: int
    status: Literal["pending", "running", "done", "failed", "cancelled"]
    eta_seconds: int
    created_at: str
    finished_at: str | None
    errors: list[ErrorView]


@routes.get(
    "/v1/batches/{batch_id}",
    allow=EVERYONE,
    answers=BatchView,
    errors=(404,),
    calls=Calls(dynamodb=3),
    polled=True,
)
def get_batch(caller: Caller, batch_id: str) -> Reply:
    """Read the progress of a batch and its errors."""
    seen = batches.get(caller.tenant_id, batch_id)
    if seen is None:
        raise NotFound("There is no batch with this id")
    batch, progress = seen.batch, batches.progress(seen)
    body = BatchView(
        id=batch.id,
        total=progress.total,
        done=progress.done,
        failed=progress.failed,
        percent=progress.percent,
        status=progress.status,
        eta_seconds=progress.eta_seconds,
        created_at=batch.created_at,
        finished_at=batch.finished_at,
        errors=batches.errors_of(batch),
    )
    running = progress.status in ("pending", "running")
    return Reply(body, headers={"Retry-After": "2"} if running else {})
