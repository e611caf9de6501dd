"""Whoever was synced has a credential that works: at every moment the one that our row names."""

from collections.abc import Iterator

from tests.simulation.projects.provider import Listing
from tests.simulation.staleness import Key, Row

Person = tuple[str, str]  #: project, person


class Named:
    """The credentials that our rows name, of those who were synced and are not to leave."""

    def __init__(self) -> None:
        self._linked: set[Person] = set()
        self._ids: dict[Person, str] = {}

    def see(self, changes: list[tuple[Key, Row | None, Row | None]]) -> None:
        for (_, _, sk), _, after in changes:
            kind, _, rest = sk.partition("#")
            if kind == "project" and after and after["kind"]["S"] == "deprovision":
                self._linked = {each for each in self._linked if each[0] != rest}
            elif kind in ("participant", "credential"):
                project_id, _, person = rest.partition("#")
                self._see_row(kind, (project_id, person), after)

    def _see_row(self, kind: str, person: Person, after: Row | None) -> None:
        if kind == "credential":
            self._ids[person] = after["credential_id"]["S"] if after else ""
        elif after is None or after["wanted"]["S"] == "gone":
            self._linked.discard(person)
        elif after["state"]["S"] == "synced":
            self._linked.add(person)

    def broken(self, project_id: str, listing: Listing) -> Iterator[Person]:
        """Those in a project whose credential is not at the provider."""
        for person in sorted(self._linked):
            if person[0] == project_id and self._ids.get(person) not in listing.credentials:
                yield person
