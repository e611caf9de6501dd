"""One seed from its first moment to its verdict."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from infra.local import mailbox
from tests import settings
from tests.simulation import books, cast, injection, invariants, mutants
from tests.simulation.actors import Play
from tests.simulation.calls import Counts
from tests.simulation.injection import Treadmill, Weather
from tests.simulation.projects import cast as projects_cast
from tests.simulation.projects import mutants as projects_mutants
from tests.simulation.stage import Stage, stage
from tests.simulation.world import World

RATE = 0.2
#: In every so many-th seed a batch's first attempts are claimed in one call.
CLAIMED_TOGETHER_EVERY = 4
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


@dataclass(frozen=True)
class Flow:
    """What is played: a cast, with mutants of its own and the seeds that catch them."""

    played: Callable[..., tuple[Any, list[str]]]  #: of a seed, a rate and the stage
    mutants: dict[str, mutants.Mutation]
    killers: dict[str, tuple[int, ...]]


def simulate(
    seed: int,
    rate: float = RATE,
    mutant: str | None = None,
    flow: str = "messages",
    *,
    conflicts: bool = False,
) -> Verdict:
    """Plays one seed; a mutant is the application without one of its safeguards.

    With `conflicts` transactions take time and what meets one is refused, as in meetings.py.
    """
    began = time.perf_counter()
    on = stage()
    with mutants.applied(mutant and FLOWS[flow].mutants[mutant]):
        play, wrong = FLOWS[flow].played(seed, rate, on, conflicts=conflicts)
    counts = play.weather.counts
    for job, count in play.weather.sent.items():
        channel = play.weather.channels[job]
        counts.repeats[channel] += count - 1
        counts.repeats_by_events[f"{channel}, {play.events}"] += count - 1
    seconds = time.perf_counter() - began
    return Verdict(seed, play.world.digest, wrong, counts, seconds, play.world.lines)


def _played(seed: int, rate: float, on: Stage, *, conflicts: bool) -> tuple[Play, list[str]]:
    with World(seed, on.memory) as world, cast.mapped(on, world):
        on.reset(seed)
        if seed % CLAIMED_TOGETHER_EVERY == 0:
            settings.change(worker_threads=10)
        weather = Weather(world, rate, conflicts=conflicts)
        play = Play(world, weather, on, events=world.random.choice(EVENTS))
        mailbox.on_record(play.plan_events)
        injection.begin(weather)
        try:
            cast.take_places(play)
            world.run()
        except Treadmill as error:
            return play, [f"it_comes_to_rest: {error}"]
        finally:
            injection.begin(None)
            mailbox.off_record(play.plan_events)
        return play, invariants.broken(play, books.read())


FLOWS: dict[str, Flow] = {
    "messages": Flow(_played, mutants.MUTANTS, mutants.KILLERS),
    "projects": Flow(projects_cast.played, projects_mutants.MUTANTS, projects_mutants.KILLERS),
}
