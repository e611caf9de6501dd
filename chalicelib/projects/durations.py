"""How long a run at a provider takes, learned from past runs. Read like configuration, and cached.

The whole platform has one row for each provider, since the provider is what is fast or slow. A run
is added after the transaction that ends it and not in it: otherwise projects that end at the same
moment would conflict for the sake of an estimate. A crash in between loses one figure.
"""

from typing import Any

from pynamodb.attributes import ListAttribute
from pynamodb.exceptions import UpdateError

from chalicelib.kernel import telemetry
from chalicelib.kernel.cache import Cache
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import records
from chalicelib.kernel.store.records import Number
from chalicelib.projects import rules
from chalicelib.projects.models import ProjectsRecord
from chalicelib.projects.rules import Estimate

_PLATFORM = "#platform"  #: partition of records that belong to no tenant
_TRIES = 5


class Figures(ProjectsRecord):
    """Row of a provider: the durations of its last runs, and the estimate made from them."""

    past_seconds: ListAttribute[Any] = ListAttribute(default=list)
    p50_seconds = Number(default=0)
    p90_seconds = Number(default=0)
    changes = Number(default=0)


def _read(provider: str) -> Estimate:
    with telemetry.configuration():
        row = _row(provider, consistent=False)
    past_runs = len(row.past_seconds)
    if not past_runs:
        return rules.estimate([])
    return Estimate(int(row.p50_seconds), int(row.p90_seconds), past_runs)


_estimates = Cache(_read, keep_seconds=lambda: settings.config_cache_seconds)


def find(provider: str) -> Estimate:
    """The estimate for a provider, at most `config_cache_seconds` old."""
    return _estimates.get(provider)


def add(provider: str, seconds: int) -> None:
    """Adds a run that succeeded. It is left out when the row cannot be changed: never raises."""
    try:
        for _ in range(_TRIES):
            if _add(provider, seconds):
                return
    except UpdateError as error:
        telemetry.log.warning("a run's time is not learned", error=type(error).__name__)


def _add(provider: str, seconds: int) -> bool:
    """False when another run was added meanwhile."""
    row = _row(provider, consistent=True)
    changes = int(row.changes)
    past_seconds = rules.with_run([int(each) for each in row.past_seconds], seconds)
    learned = rules.estimate(past_seconds)
    return row.change_if(
        Figures.changes == changes if changes else Figures.sk.does_not_exist(),
        [
            Figures.past_seconds.set(past_seconds),
            Figures.p50_seconds.set(learned.p50_seconds),
            Figures.p90_seconds.set(learned.p90_seconds),
            Figures.changes.set(changes + 1),
        ],
    )


def _row(provider: str, *, consistent: bool) -> Figures:
    key = f"figures#{provider}"
    row = records.read(Figures, _PLATFORM, key, consistent=consistent)
    return row or Figures(_PLATFORM, key)
