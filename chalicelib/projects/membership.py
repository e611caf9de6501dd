"""Who may see a project: its participants, the tenant's managers, and admins of the platform."""

from collections.abc import Sequence

import msgspec

from chalicelib.kernel.auth.tenancy import MANAGERS, Caller
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.store import paging
from chalicelib.kernel.store.paging import Page, PageQuery
from chalicelib.people import directory
from chalicelib.projects import guards, models
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.rules import State, Status

_UNKNOWN = "No project has this id"


class Projects(msgspec.Struct, frozen=True):
    """A page of projects."""

    items: list[Project]
    meta: dict[str, object]


def find(caller: Caller, project_id: str) -> Project:
    """The project, if the caller may see it; one read for every caller.

    Raises NotFound for everyone else, so that they do not learn that it exists.
    """
    if caller.role in MANAGERS:
        project = models.get_project(caller.tenant_id, project_id)
    else:
        project = _joined(caller, project_id)
    if project is None:
        raise NotFound(_UNKNOWN)
    return project


def find_named(caller: Caller, name: str) -> Project:
    """Like `find`, by the project's id or its identifier, which takes one more read."""
    project_id = guards.id_of(caller.tenant_id, name)
    if project_id is None:
        raise NotFound(_UNKNOWN)
    return find(caller, project_id)


def _joined(caller: Caller, project_id: str) -> Project | None:
    person_id = directory.id_of(caller)
    if person_id is None:
        return None
    project, part = models.get_with_part(caller.tenant_id, project_id, person_id)
    return project if part is not None and part.wanted == "member" else None


def find_members(callers: Sequence[Caller], project_id: str) -> list[Caller]:
    """Those of up to 200 callers of one tenant who may see the project; a read for a hundred."""
    ids = {caller: directory.id_of(caller) for caller in callers if caller.role not in MANAGERS}
    wanted = sorted({person_id for person_id in ids.values() if person_id})
    members = {
        part.id
        for part in models.get_parts(callers[0].tenant_id, project_id, wanted)
        if part.wanted == "member"
    }
    return [caller for caller in callers if caller.role in MANAGERS or ids[caller] in members]


def find_part(
    caller: Caller, project_id: str, person_id: str
) -> tuple[Project, Participant | None]:
    """A project and somebody's part in it, for a manager. Raises NotFound without the project."""
    project, part = models.get_with_part(caller.tenant_id, project_id, person_id)
    if project is None:
        raise NotFound(_UNKNOWN)
    return project, part


def list_projects(caller: Caller, query: PageQuery, status: Status | None) -> Projects:
    """A page of the projects that the caller may see, newest first."""
    if caller.role in MANAGERS:
        listing = models.projects_of(caller.tenant_id, status)
        page = paging.read([listing], query, caller.tenant_id, "projects")
        return Projects(page.items, page.meta)
    return _list_joined(caller, query, status)


def _list_joined(caller: Caller, query: PageQuery, status: Status | None) -> Projects:
    """Filters by status after the page was read, so a page may be short."""
    person_id = directory.id_of(caller)
    if person_id is None:
        return Projects([], {"per_page": query.per_page, "next_cursor": None})
    listing = models.projects_joined(caller.tenant_id, person_id)
    name = f"projects of {person_id}"  # binds a cursor to this person's list
    parts: Page[Participant] = paging.read([listing], query, caller.tenant_id, name)
    ids = [part.project_id for part in parts.items]
    by_id = models.get_projects(caller.tenant_id, ids)
    projects = [by_id[project_id] for project_id in ids if project_id in by_id]
    return Projects([each for each in projects if status in (None, each.status)], parts.meta)


def list_participants(
    caller: Caller, project_id: str, query: PageQuery, status: State | None
) -> Page[Participant]:
    """A page of a project's participants, for callers who may see the project.

    For a manager it is one read; only after an empty page the project itself is looked up.
    """
    if caller.role not in MANAGERS:
        find(caller, project_id)
    listing = models.page_of(caller.tenant_id, project_id, status)
    page = paging.read([listing], query, caller.tenant_id, f"participants of {project_id}")
    if not page.items and caller.role in MANAGERS:
        find(caller, project_id)
    return page
