"""A provider with a listing of its own, and faults: it is busy, refuses, is down for minutes, or
does what it was asked while its answer is lost.

`connections.py` reaches it over the port, in both of the ways that the application knows.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from chalicelib.projects.gateway import Busy, Down, Refused
from chalicelib.projects.gateway.identity import Project as Found
from tests.simulation.world import START, Crash

if TYPE_CHECKING:
    from tests.simulation.projects.schedule import ProjectsPlay

T = TypeVar("T")
About = tuple[str, str]  #: ids of a project and a user at the provider
NOBODY: About = ("", "")

#: What may happen to a call of the provider, by how often among all that goes wrong.
FAULTS = {
    "busy": 25,
    "no answer": 12,
    "answer lost": 20,
    "dead before": 8,
    "dead after": 8,
    "slow": 12,
    "refused": 2,
}
_READ_SECONDS = 10  #: after which a provider that is silent counts as down


@dataclass
class Listing:
    """What the provider holds."""

    projects: dict[str, Found] = field(default_factory=dict)  #: by id
    marks: dict[str, str] = field(default_factory=dict)  #: ids by our mark
    users: dict[str, str] = field(default_factory=dict)  #: ids by log-in name
    grants: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    credentials: dict[str, "Held"] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)  #: projects and users, by what they are of

    def held_by(self, project_id: str, user_id: str) -> dict[str, "Held"]:
        return {
            each: held
            for each, held in self.credentials.items()
            if (held.project_id, held.user_id) == (project_id, user_id)
        }


@dataclass(frozen=True)
class Held:
    """A credential at the provider."""

    project_id: str
    user_id: str
    secret: str


class Provider:
    """The provider of one run, with its weather."""

    def __init__(self, play: "ProjectsPlay", *, looks_up: bool) -> None:
        self.play, self.world = play, play.world
        self.looks_up = looks_up
        self.listing = Listing()
        self.calls = 0
        self.on_change: Callable[[About], None] = lambda _: None
        rng = self.world.random
        self.outages = [self._outage() for _ in range(rng.choice((0, 1, 1, 2)))]
        self.refused: set[str] = set()  #: people whom it does not take until it is asked to

    def _outage(self) -> tuple[float, float]:
        begins = START + self.world.random.uniform(0, 900)
        return begins, begins + self.world.random.uniform(20, 400)

    def call(self, name: str, execute: Callable[[], T], about: About = NOBODY, who: str = "") -> T:
        """One call, at which others may go on and all may go wrong."""
        actor = self.world.current
        process = actor.process if actor else None
        if process is None:
            raise RuntimeError("a call of the provider outside a process")
        self.calls += 1
        weather = self.play.weather
        fault = self._choose()
        self.world.pause(self._duration(fault))
        weather._die_of_age(process, fault)
        self.world.note("provider", name, fault or "")
        if fault:
            weather.counts.faults[f"provider {fault}"] += 1
        if fault in ("dead before", "dead after"):
            if fault == "dead after":
                self._execute(execute, about)
            raise Crash(name)
        if fault in ("busy", "down", "no answer", "refused"):
            self._say_no(fault)
        if who in self.refused:
            raise Refused("there is no place for this user")
        answer = self._execute(execute, about)
        if fault == "answer lost":
            self.world.pause(_READ_SECONDS)
            raise Down("the provider did not answer", after_seconds=5)
        return answer

    def _execute(self, execute: Callable[[], T], about: About) -> T:
        answer = execute()
        self.on_change(about)
        return answer

    def _say_no(self, fault: str) -> None:
        if fault == "refused":
            raise Refused("the provider refuses this today")
        if fault == "busy":
            raise Busy("the provider is too busy", after_seconds=1)
        self.world.pause(_READ_SECONDS if fault == "no answer" else 3)
        raise Down("the provider cannot be reached", after_seconds=5)

    def _choose(self) -> str | None:
        rng, rate = self.world.random, self.play.weather.rate
        if not rate:
            return None
        if any(begins < self.world.now < ends for begins, ends in self.outages):
            return "down"
        if rng.random() >= rate / 4:
            return None
        return rng.choices(list(FAULTS), list(FAULTS.values()))[0]

    def _duration(self, fault: str | None) -> float:
        rng = self.world.random
        return rng.uniform(1, 25) if fault == "slow" else rng.uniform(0.05, 0.5)
