"""What must hold at every commit of a project's rows, and after every change at its provider."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from chalicelib.projects import models, rules
from chalicelib.projects.gateway import simulated
from chalicelib.projects.gateway.identity import USER_PREFIX, mark_of
from tests.simulation.projects.named import Named
from tests.simulation.staleness import Key, Row

if TYPE_CHECKING:
    from tests.simulation.projects.schedule import ProjectsPlay

Place = tuple[str, str]  #: tenant, project

REGION = "local-1"  #: where projects are made that name none


@dataclass
class Run:
    """One run of the workflow, by the world's own clock."""

    project_id: str
    number: int
    kind: str
    began: float
    ended: float | None = None
    status: str = ""  #: in which it ended


class Watch:
    """Looks on, and keeps what was wrong."""

    def __init__(self, play: "ProjectsPlay") -> None:
        self.play = play
        self.late: set[tuple[str, str]] = set()  #: project and person for whom a call came late
        self._touched: dict[tuple[str, str], tuple[float, str]] = {}  #: when and by whom
        self._places: dict[str, Place] = {}  #: by the project's id at the provider
        self.wrong: list[str] = []
        self._named = Named()
        self.runs: dict[str, list[Run]] = defaultdict(list)
        self._active: dict[Place, str] = {}  #: what is shown active: its id at the provider
        self._rows: dict[Place, dict[str, Row]] = defaultdict(dict)  #: participants and requests

    # -- commits ------------------------------------------------------------------------------

    def see_writes(self, changes: list[tuple[Key, Row | None, Row | None]]) -> None:
        """Rows of the table of projects were written, all at once."""
        self._named.see(changes)
        for (_, _, sk), before, after in changes:
            if sk.startswith("project#") and before != after:
                self._see_project(before, after)
        for (_, tenant, sk), _, after in changes:
            kind, _, rest = sk.partition("#")
            if kind in ("participant", "request"):
                self._keep((tenant, rest.partition("#")[0]), sk, after)
        for place in dict.fromkeys((tenant, sk.split("#")[1]) for (_, tenant, sk), _, _ in changes):
            self._look(place)
            self._look_at_credentials(place[1])

    def _look_at_credentials(self, project_id: str) -> None:
        for person in self._named.broken(project_id, self.play.provider.listing):
            told = f"{person[1]} in {project_id} is left without a credential that works"
            if person not in self.late and told not in self.wrong:
                self.wrong.append(told)
                self.play.world.note("wrong", told)

    def _keep(self, place: Place, sk: str, row: Row | None) -> None:
        if sk.startswith("participant#"):
            actor, person = self.play.world.current, sk.rpartition("#")[2]
            by = actor.process.name if actor and actor.process else ""
            self._touched[place[1], person] = (self.play.world.now, by)
            self.late.discard((place[1], person))
        if row is None:
            self._rows[place].pop(sk, None)
        else:
            self._rows[place][sk] = row

    def _see_project(self, before: Row | None, after: Row | None) -> None:
        if after is None:
            self.wrong.append(f"the row of {before} is gone")
            return
        now = models.Project.from_raw_data(after)
        was = models.Project.from_raw_data(before) if before else None
        self._see_status(was, now)
        same = was is not None and was.run == now.run and was.is_running and now.is_running
        if was is not None and same and now.percent < was.percent:
            self.wrong.append(f"{now.id} went back from {was.percent} to {now.percent} percent")
        if now.status == "failed" and not (now.step and (now.error or "").startswith(now.step)):
            self.wrong.append(f"{now.id} failed at {now.step}: {now.error}")

    def _see_status(self, was: Any, now: Any) -> None:
        before = was.status if was else "pending"
        if now.status != before and now.status not in rules.NEXT[cast("rules.Status", before)]:
            self.wrong.append(f"{now.id} went from {before} to {now.status}")
        if was is None or now.run != was.run:
            if (was and was.is_running and not was.is_parked) or not now.is_running:
                self.wrong.append(f"{now.id}: run {now.run} began while it was {before}")
            run = Run(now.id, int(now.run), now.kind, self.play.world.now)
            self.runs[now.id].append(run)
        elif was.is_running and not now.is_running:
            run = self.runs[now.id][-1]
            run.ended, run.status = self.play.world.now, now.status
            self._see_end(now)
        elif now.is_parked and not was.is_parked:
            run = self.runs[now.id][-1]
            run.ended, run.status = self.play.world.now, "parked"
        place = (str(now.tenant), now.id)
        self._places[now.provider_project_id or ""] = place
        self._active.pop(place, None)
        if now.status == "active":
            self._active[place] = now.provider_project_id or ""

    def _see_end(self, now: Any) -> None:
        """Nobody but its own execution ends a run while that is at work.

        One that has begun no step is not at work. It may be started while the reconciler ends its
        run for not having been started in time; then its first step finds that the run is over.
        """
        actor, name = self.play.world.current, f"{now.id}-{int(now.run)}"
        has_begun = any(int(row["attempts"]) for row in now.step_rows.values())
        is_there = any(each.name == name for each in self.play.executions.running())
        at_work = has_begun and is_there
        who = actor.process.name if actor and actor.process else ""
        if at_work and not who.startswith("provision"):
            self.wrong.append(f"{who} ended {name} while its execution was at work")

    # -- whoever is shown as active -----------------------------------------------------------

    def see_provider(self, about: tuple[str, str]) -> None:
        """Something of a project was changed at the provider."""
        place = self._places.get(about[0])
        if place is None:
            return
        self._see_late(place, about[1])
        self._look_at_credentials(place[1])
        if place in self._active:
            self._look(place)

    def _see_late(self, place: Place, user: str) -> None:
        """A call for somebody whose row others have changed since the caller began.

        The provider takes no word of ours that would let it refuse such a call. What it leaves is
        excused until the row is worked on again.
        """
        person = next(
            (each for each in self.play.everyone(place[0]) if self.user_of(each) == user), ""
        )
        at, by = self._touched.get((place[1], person), (0.0, ""))
        actor = self.play.world.current
        mine = actor.process if actor else None
        if mine is not None and at > self.play.executions.began.get(mine, 0.0) and by != mine.name:
            self.late.add((place[1], person))
            self.play.weather.counts.faults["provider called late"] += 1
            self.play.world.note("late", person[-6:])

    def _look(self, place: Place) -> None:
        """An active project has all that it is wanted to have, in its rows and at its provider."""
        if place not in self._active:
            return
        for missing in self._missing(place, self._active[place]):
            told = f"{place[1]} shows active: {missing}"
            if told not in self.wrong:
                self.wrong.append(told)
                self.play.world.note("wrong", told)

    def _missing(self, place: Place, at_provider: str) -> Iterator[str]:
        if at_provider not in self.play.provider.listing.projects:
            yield "its project is not at the provider"
        for sk, row in self._rows[place].items():
            if sk.startswith("request#"):
                yield "somebody who was asked for does not take part yet"
            elif (place[1], sk.rpartition("#")[2]) not in self.late:
                yield from self._missing_of(at_provider, row, sk.rpartition("#")[2])

    def _missing_of(self, at_provider: str, part: Row, person: str) -> Iterator[str]:
        listing = self.play.provider.listing
        user = self.user_of(person)
        granted = listing.grants.get((at_provider, user), set())
        if part["wanted"]["S"] == "gone":
            if part["state"]["S"] != "removed":
                yield f"{person} is {part['state']['S']} and shall be gone"
        elif part["state"]["S"] != "synced":
            yield f"{person} is {part['state']['S']}"
        elif granted != {part["role"]["S"]}:
            yield f"{person} is granted {granted or 'nothing'}"
        elif not listing.held_by(at_provider, user):
            yield f"{person} has no credential"

    def user_of(self, person: str) -> str:
        """The provider's id of a person; empty for one that it does not know."""
        listing = self.play.provider.listing
        if self.play.provider.looks_up:
            return listing.users.get(USER_PREFIX + mark_of("user", person), "")
        return listing.users.get(f"bb-{simulated._derived(REGION, person)}", "")
