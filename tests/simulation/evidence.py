"""A run that has ended, and what its tables hold, as the invariants look at it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tests.simulation.actors import Play
from tests.simulation.books import Asked, Row, Tables, arguments

Check = Callable[["Evidence"], Iterator[str]]  #: yields what is wrong, as sentences


@dataclass
class Evidence:
    """A run that has ended, and what its tables hold."""

    play: Play
    tables: Tables

    @cached_property
    def jobs(self) -> dict[str, Row]:
        return self.tables.jobs()

    @cached_property
    def by_email(self) -> dict[tuple[str, str], Row]:
        return {(p["tenant"], p["email_key"]): p for p in self.tables.persons().values()}

    def asked(self, *kinds: str) -> Iterator[Asked]:
        return (each for each in self.play.asked if each.kind in kinds)

    def invitations(self, person: Row) -> list[Row]:
        """The messages of a user's invitations."""
        person_id = person["sk"].removeprefix("person#")
        return self._invitations.get(person_id, [])

    @cached_property
    def _invitations(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for job in self.jobs.values():
            if job["type"] == "people.invitation":
                found[arguments(job)["person_id"]].append(job)
        return found
