"""Those who manage a tenant here: they create projects, change who takes part, retry and undo."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.simulation.books import Asked
from tests.simulation.clients import http_event
from tests.simulation.world import Process

if TYPE_CHECKING:
    from tests.simulation.projects.schedule import ProjectsPlay

_ROOT = "/admin/v1/projects"
#: What is asked for, by how often.
KINDS = {"create": 4, "add": 5, "remove": 5, "retry": 5, "undo": 2, "look": 1}
#: In every so many-th seed clients ask for new credentials too; the others keep their course.
ROTATED_EVERY = 5
ROTATIONS = 6  #: how often then, beside KINDS
WAIT_SECONDS = 60  #: on average between two requests of one client


@dataclass
class AskedProject(Asked):
    """One thing that a client wanted of a project."""

    project_id: str = ""
    people: tuple[str, ...] = ()
    name: str = ""


def project_event(
    method: str, path: str, body: Any, tenant: str, key: str | None, person: str = ""
) -> dict[str, Any]:
    """A request for `<project>[/more]`; empty for all projects."""
    project_id, _, more = path.partition("/")
    resource = "/".join(each for each in (_ROOT, project_id and "{project_id}", more) if each)
    given = {"project_id": project_id} if project_id else {}
    if person:
        users, _, action = resource.partition("/users")
        resource = f"{users}/users/{{user_id}}{action}"
        given = {**given, "user_id": person}
    event = http_event(method, resource, body, tenant=tenant, key=key, parameters=given)
    event["requestContext"]["authorizer"]["email"] = f"boss-of-{tenant}@example.com"
    return event


class Manager:
    """Somebody who manages a tenant's projects."""

    def __init__(self, play: "ProjectsPlay", name: str, tenant: str, requests: int) -> None:
        self.play, self.name, self.tenant, self.requests = play, name, tenant, requests
        self.process = Process(f"api of {name}", play.world.skew())
        self.made: list[AskedProject] = []
        self._numbers = itertools.count(1)

    def act(self) -> None:
        rng = self.play.world.random
        kinds = KINDS
        if self.play.world.seed % ROTATED_EVERY == 0:
            kinds = {**KINDS, "rotate": ROTATIONS}
        for _ in range(self.requests):
            self.play.world.pause(rng.expovariate(1 / WAIT_SECONDS))
            kind = rng.choices(list(kinds), list(kinds.values()))[0]
            getattr(self, f"_{kind if self.made else 'create'}")()
        self.play.busy.discard(self.name)

    def _asked(self, kind: str, **more: Any) -> AskedProject:
        number = next(self._numbers)
        key = f"{self.name}-{number}" if self.play.world.random.random() < 0.6 else None
        return AskedProject(kind, self.tenant, key, **more)

    def _some(self, most: int) -> tuple[str, ...]:
        rng, guests = self.play.world.random, self.play.guests[self.tenant]
        return tuple(rng.sample(guests, rng.randint(1, min(most, len(guests)))))

    def _create(self) -> None:
        name = f"Alder {self.name} {next(self._numbers)}"
        people = self._some(6) if self.play.world.random.random() < 0.9 else ()
        asked = self._asked("project", people=people, name=name)
        body = {"name": name, "user_ids": list(people)}
        event = project_event("POST", "", body, self.tenant, asked.key)
        self.play.try_for(self.process, asked, event)
        if asked.data:
            asked.project_id = str(asked.data["id"])
            self.made.append(asked)

    def _of(self) -> str:
        return self.play.world.random.choice(self.made).project_id

    def _add(self) -> None:
        asked = self._asked("users", project_id=self._of(), people=self._some(3))
        body = {"user_ids": list(asked.people)}
        path = f"{asked.project_id}/users"
        event = project_event("POST", path, body, self.tenant, asked.key)
        self.play.try_for(self.process, asked, event)

    def _remove(self) -> None:
        rng = self.play.world.random
        project_id = self._of()
        known = [*self.play.guests[self.tenant], *self.play.staff[self.tenant]]
        asked = self._asked("removal", project_id=project_id, people=(rng.choice(known),))
        path, person = f"{asked.project_id}/users", asked.people[0]
        event = project_event("DELETE", path, None, self.tenant, asked.key, person)
        self.play.try_for(self.process, asked, event)

    def _rotate(self) -> None:
        """For somebody of an active project where there is one: elsewhere it is refused."""
        rng, rows = self.play.world.random, self.play.projects()
        shown = {row["sk"]["S"].partition("#")[2]: row["status"]["S"] for row in rows}
        active = (each for each in self.made if shown.get(each.project_id) == "active")
        able = [each for each in active if each.people]
        made = rng.choice(able or self.made)
        person = rng.choice(made.people or self.play.guests[self.tenant])
        asked = self._asked("rotation", project_id=made.project_id, people=(person,))
        path = f"{asked.project_id}/users/rotate-credential"
        event = project_event("POST", path, None, self.tenant, asked.key, person)
        self.play.try_for(self.process, asked, event)

    def _retry(self) -> None:
        asked = self._asked("retry", project_id=self._of())
        event = project_event("POST", f"{asked.project_id}/retry", None, self.tenant, asked.key)
        self.play.try_for(self.process, asked, event)

    def _undo(self) -> None:
        asked = self._asked("undo", project_id=self._of())
        event = project_event("DELETE", asked.project_id, None, self.tenant, asked.key)
        self.play.try_for(self.process, asked, event)

    def _look(self) -> None:
        asked = self._asked("look", project_id=self._of())
        event = project_event("GET", f"{asked.project_id}/status", None, self.tenant, None)
        self.play.try_for(self.process, asked, event)
