"""One seed from its first moment to its verdict."""

import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from infra.local import outbox
from tests.simulation import books, cast, injection, invariants, mutants
from tests.simulation.actors import Play
from tests.simulation.injection import Counts, Treadmill, Weather
from tests.simulation.stage import Stage, set_settings, stage
from tests.simulation.world import World

RATE = 0.2
EVENTS = ("prompt", "muted", "loose")


@dataclass
class Verdict:
    """What came of one seed."""

    seed: int
    digest: str  #: the same for the same course of events
    broken: list[str]  #: invariants that do not hold
    counts: Counts
    seconds: float  #: of real time
    trace: list[str] = field(default_factory=list, repr=False)


def simulate(seed: int, rate: float = RATE, mutant: str | None = None) -> Verdict:
    """Plays one seed; a mutant is the application without one of its safeguards."""
    began = time.perf_counter()
    on = stage()
    with mutants.applied(mutant):
        play, wrong = _played(seed, rate, on)
    counts = play.weather.counts
    for job, count in play.weather.sent.items():
        channel = play.weather.channels[job]
        counts.repeats[channel] += count - 1
        counts.repeats_by_events[f"{channel}, {play.events}"] += count - 1
    seconds = time.perf_counter() - began
    return Verdict(seed, play.world.digest, wrong, counts, seconds, play.world.lines)


def _played(seed: int, rate: float, on: Stage) -> tuple[Play, list[str]]:
    with World(seed, on.memory) as world, _settings(on, world):
        on.reset(seed)
        weather = Weather(world, rate)
        play = Play(world, weather, on, events=world.random.choice(EVENTS))
        outbox.on_record(play.plan_events)
        injection.begin(weather)
        try:
            cast.take_places(play)
            world.run()
        except Treadmill as error:
            return play, [f"it_comes_to_rest: {error}"]
        finally:
            injection.begin(None)
            outbox.off_record(play.plan_events)
        return play, invariants.broken(play, books.read())


def reports_failures(rng: random.Random) -> tuple[bool, bool]:
    """Whether the function is told that its mapping reports failed items, and whether it does."""
    reports = rng.random() < 0.5
    return reports, reports


@contextlib.contextmanager
def _settings(on: Stage, world: World) -> Iterator[None]:
    """Half of the runs have mappings as Chalice makes them, half report failed items."""
    believed, reports = reports_failures(world.random)
    set_settings(partial_batch=believed)
    usual = on.mappings
    on.mappings = {
        name: replace(each, report_batch_item_failures=reports) for name, each in usual.items()
    }
    yield
    on.mappings = usual
