"""Jobs that note each of their runs, and fail as often as they are told."""

from chalicelib.kernel.jobs.registry import Context, job
from chalicelib.kernel.jobs.retry import Backoff
from chalicelib.kernel.store.records import KernelRecord, Number


class Runs(KernelRecord):
    """Row of a job's runs: keys (tenant, "trial#" + job id)."""

    starts = Number(default=0)
    successes = Number(default=0)


@job(queue="work", tries=4, retry=Backoff(first_seconds=1, factor=1))
def fail(context: Context, *, times: int) -> None:
    """Fails `times` times, then succeeds."""
    runs = Runs(context.tenant_id, f"trial#{context.job.id}")
    runs.update([Runs.starts.set((Runs.starts | 0) + 1)])
    if runs.starts <= times:
        raise RuntimeError("fails on purpose")
    runs.update([Runs.successes.set((Runs.successes | 0) + 1)])
