"""Sample jobs, declared as any domain declares its jobs.

`simulation.member` is one of a batch and fails as often as it is told; `simulation.after` and
`simulation.always` are what follows a batch.
"""

import time
from collections import Counter

from chalicelib.kernel.errors import AppError, Retry
from chalicelib.kernel.jobs.registry import Context, job
from chalicelib.kernel.jobs.retry import Backoff

runs: Counter[str] = Counter()  #: by job


@job(queue="work", tries=8, retry=Backoff(first_seconds=10))
def member(
    context: Context, *, fails: int = 0, never: bool = False, holds: int = 0, takes: int = 0
) -> None:
    runs[context.job.id] += 1
    time.sleep(takes)
    if never:
        raise AppError("this can never work")
    if int(context.job.deferrals) < holds:
        raise Retry("a limit", after_seconds=1200)
    if runs[context.job.id] <= fails:
        raise RuntimeError("fails on purpose")


@job(queue="work", tries=20, retry=Backoff(first_seconds=10, max_seconds=300))
def after(context: Context, *, batch_id: str) -> None:
    runs[context.job.id] += 1


@job(queue="work", tries=20, retry=Backoff(first_seconds=10, max_seconds=300))
def always(context: Context, *, batch_id: str) -> None:
    runs[context.job.id] += 1
