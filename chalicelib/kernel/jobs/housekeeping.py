"""The kernel's own jobs: `kernel.<name>`."""

from chalicelib.kernel.jobs import batch_errors
from chalicelib.kernel.jobs.registry import Context, job


@job(queue="bulk", timeout_seconds=50)
def expire_errors(context: Context, *, batch_id: str, at: int) -> None:
    """Let DynamoDB delete the errors of a batch that has settled. Safe to repeat.

    Before that they have no time of expiry, because nobody knows how long the last member waits.
    """
    batch_errors.expire(context.tenant_id, batch_id, at, context)
