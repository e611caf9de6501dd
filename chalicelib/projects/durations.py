"""How long a run at a provider takes, learned from past runs. Read as configuration: cached.

One row per provider for the whole platform, since it is the provider that is fast or slow. A run
is added after the project's own transaction, not in it: projects that end at the same moment
would stand in each other's way for the sake of an estimate. A crash between the two loses a figure.
"""

import time
from typing import Any

from pynamodb.attributes import ListAttribute
from pynamodb.exceptions import PynamoDBException

from chalicelib.kernel import telemetry
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import failures
from chalicelib.kernel.store.records import Number
from chalicelib.projects import models, rules
from chalicelib.projects.models import ProjectsRecord
from chalicelib.projects.rules import Estimate

_PLATFORM = "#platform"  #: partition of what belongs to no tenant
_TRIES = 5

_cache: dict[str, tuple[float, Estimate]] = {}


class Figures(ProjectsRecord):
    """Row of a provider: its last runs, and what follows from them."""

    past_seconds: ListAttribute[Any] = ListAttribute(default=list)
    p50_seconds = Number(default=0)
    p90_seconds = Number(default=0)
    changes = Number(default=0)


def find(provider: str) -> Estimate:
    """What past runs teach, at most `config_cache_seconds` old."""
    cached = _cache.get(provider)
    if cached and time.monotonic() - cached[0] < settings.config_cache_seconds:
        return cached[1]
    with telemetry.configuration():
        row = _row(provider, consistent=False)
    runs = len(row.past_seconds)
    known = Estimate(int(row.p50_seconds), int(row.p90_seconds), runs)
    _cache[provider] = (time.monotonic(), known if runs else rules.estimate([]))
    return _cache[provider][1]


def forget() -> None:
    """Drops what this instance remembers."""
    _cache.clear()


def add(provider: str, seconds: int) -> None:
    """Adds a run that ended well. Left out when the row is too busy: it is only an estimate."""
    for _ in range(_TRIES):
        row = _row(provider, consistent=True)
        seen = int(row.changes)
        row.past_seconds = rules.with_run([int(each) for each in row.past_seconds], seconds)
        learned = rules.estimate(row.past_seconds)
        row.p50_seconds, row.p90_seconds = learned.p50_seconds, learned.p90_seconds
        row.changes = seen + 1
        unchanged = Figures.changes == seen if seen else Figures.sk.does_not_exist()
        try:
            row.save(condition=unchanged)
            return
        except PynamoDBException as error:
            if not failures.condition_failed(error):
                telemetry.log.warning("a run's time is not learned", error=type(error).__name__)
                return


def _row(provider: str, *, consistent: bool) -> Figures:
    key = f"figures#{provider}"
    found = models.read(Figures, _PLATFORM, key, consistent=consistent)
    return found or Figures(_PLATFORM, key)
