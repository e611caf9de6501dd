"""Jobs by name. The decorator declares a job; there is no second list to keep in step.

    @job(queue="bulk", tries=5, timeout_seconds=60, retry=Backoff(first_seconds=30))
    def import_rows(ctx: Context, *, upload_id: str, chunk: int) -> None: ...

in `chalicelib/people/jobs.py` is `people.import_rows`. The name leads to the domain's modules
`jobs` and `notices`, which are imported when the first of its jobs is queued or run.
"""

import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from chalicelib.kernel.errors import Retry
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.retry import Backoff

Queue = Literal["notify", "work", "bulk"]
QUEUES: tuple[Queue, ...] = ("notify", "work", "bulk")
#: repeat: run again; give_up: fail; confirm: wait for the provider's event, then run again.
LostAttempt = Literal["repeat", "give_up", "confirm"]
Marks = dict[str, str | int | None]


class LineError(msgspec.Struct, frozen=True):
    """An error in one part of a job's work, such as a line of a file."""

    line: int
    detail: str


class ErrorView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One error in a batch."""

    detail: str
    line: int | None = None
    job_id: str | None = None


class Result(msgspec.Struct, frozen=True):
    """What a job may return about its work; most return None."""

    marks: Marks = msgspec.field(default_factory=dict)  #: attributes to keep in the job's row
    failed_units: int = 0  #: how many of the job's units failed
    errors: tuple[LineError, ...] = ()  #: shown with the job's batch


class Context(msgspec.Struct, frozen=True):
    """What a running job knows about itself."""

    tenant_id: str
    job: Job
    deadline: float = msgspec.field(default=float("inf"))  #: in seconds of time.monotonic()

    def remaining_seconds(self) -> float:
        return self.deadline - time.monotonic()

    def check_time(self) -> None:
        """Raises Retry when the attempt's time is over. Call it before a step not to be repeated.

        Lambda freezes code that still runs after the answer and may thaw it minutes later, when
        the lease is over and another worker may have done the work.
        """
        if self.remaining_seconds() <= 0:
            raise Retry("time ran out before the work could be done", charged=True)


class Declared(msgspec.Struct, frozen=True):
    """A declared job: how it is queued, tried and run."""

    name: str
    queue: Queue
    tries: int  #: charged attempts
    timeout_seconds: int
    retry: Backoff
    run: Callable[..., Result | None]  #: run(context, **args)
    channels: tuple[str, ...] = ()  #: a notice's channels; empty for other jobs
    lost_attempt: LostAttempt = "repeat"  #: what follows an attempt that left no result
    unique_for_seconds: int = 0  #: 0: not unique; see `job`
    unique_until_start: bool = False  #: True: unique only while it waits
    on: str = ""  #: the event that it subscribes to; empty: none
    when_ended: Callable[[Job], None] | None = None  #: called after its end, see `job`

    @property
    def lock_seconds(self) -> int:
        """The longest time for which a run holds the lock of its kind; 0: not while it runs."""
        return 0 if self.unique_until_start else self.unique_for_seconds


Run = Callable[..., Result | None]


class UnknownJob(LookupError):
    """No module declares a job with this name; it may come from a newer release."""


_declared: dict[str, Declared] = {}


def job(
    *,
    queue: Queue = "work",
    tries: int = 5,
    timeout_seconds: int = 50,
    retry: Backoff | None = None,
    unique_for_seconds: int = 0,
    unique_until_start: bool = False,
    on: str = "",
    when_ended: Callable[[Job], None] | None = None,
) -> Callable[[Run], Run]:
    """Declares a job: a function that may run more than once and must be safe to repeat.

    `tries` counts charged attempts. `timeout_seconds` must be well within the lease; an attempt
    that takes longer is treated as lost, and its job runs again.

    With `unique_for_seconds`, of the jobs with the same arguments that wait at the same time one
    runs; the others end as `skipped`, and so do those that come until its end, at most for so long
    after its latest start. With `unique_until_start` those that come after its start run. The shop
    will use unique jobs. With `on` it is queued by every `publish` of that event, with the event's
    arguments; see `kernel/events.py`.

    `when_ended` is called with the job's row after its end, whatever the end: done, failed,
    cancelled or another. It must be safe to repeat, since a crash makes it be called again.
    """

    def register(function: Run) -> Run:
        add(
            Declared(
                name_of(function),
                queue,
                tries,
                timeout_seconds,
                retry or Backoff(),
                function,
                unique_for_seconds=unique_for_seconds,
                unique_until_start=unique_until_start,
                on=on,
                when_ended=when_ended,
            )
        )
        return function

    return register


def name_of(function: Callable[..., Any]) -> str:
    """`people.invitation` for a function `invitation` in a module of `chalicelib/people/`."""
    root, *parents, _ = function.__module__.split(".")
    domain = parents[0] if root == "chalicelib" else parents[-1]
    return f"{domain}.{function.__name__}"


def add(declared: Declared) -> None:
    """Registers a job; raises ValueError if another job has its name.

    The same job comes again when its module could not be imported to its end the first time.
    """
    if _place(_declared.get(declared.name, declared)) != _place(declared):
        raise ValueError(f"two jobs are called {declared.name}")
    _declared[declared.name] = declared


def declared() -> tuple[Declared, ...]:
    """The jobs and notices of all modules that are imported."""
    return tuple(_declared.values())


def _place(declared: Declared) -> tuple[str, str]:
    """Where the function stands: that of a job, or the one that a notice was made of."""
    function = getattr(declared.run, "build", declared.run)
    return function.__module__, function.__qualname__


def find(name: str) -> Declared:
    """The job or notice with this name; raises UnknownJob."""
    if name not in _declared:
        domain = name.partition(".")[0]
        # A request that queues a notice pays for no jobs.
        parts = ("jobs.housekeeping",) if domain == "kernel" else ("notices", "jobs")
        for part in parts:
            if name not in _declared:
                _import(f"chalicelib.{domain}.{part}")
    try:
        return _declared[name]
    except KeyError:
        raise UnknownJob(name) from None


def _import(module: str) -> None:
    package = module.rpartition(".")[0]
    if package.isascii() and importlib.util.find_spec(package) and importlib.util.find_spec(module):
        importlib.import_module(module)
