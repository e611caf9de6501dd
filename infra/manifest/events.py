"""EVENTS: every event that a job subscribes to, with the names of these jobs."""

from collections.abc import Sequence
from types import ModuleType

from chalicelib.kernel.jobs import registry
from infra.manifest.section import Section

_TYPE = "tuple[tuple[str, tuple[str, ...]], ...]"
_COMMENT = "(event, the jobs that subscribe to it)"


def section(modules: Sequence[ModuleType], before: str) -> Section:
    """All jobs with `@job(on=...)`, in the order of events and then of jobs."""
    del before
    names = {module.__name__ for module in modules}
    found: dict[str, list[str]] = {}
    for job in sorted(registry.declared(), key=lambda job: job.name):
        if job.on and job.run.__module__ in names:
            found.setdefault(job.on, []).append(job.name)
    entries = tuple((event, tuple(jobs)) for event, jobs in sorted(found.items()))
    return Section("EVENTS", _TYPE, _COMMENT, entries)
