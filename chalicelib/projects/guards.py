"""Guards: rows that make a name unique in its tenant, and lead from an identifier to a project."""

from pynamodb.attributes import UnicodeAttribute

from chalicelib.kernel import clock
from chalicelib.kernel.store import records
from chalicelib.projects import rules
from chalicelib.projects.models import ProjectsRecord

_NAME = "name#"
_IDENTIFIER = "identifier#"


class NameGuard(ProjectsRecord):
    """Makes a name unique in a tenant: only one project can create its guard."""

    project_id = UnicodeAttribute()


def of_name(tenant_id: str, name_key: str, project_id: str) -> NameGuard:
    return NameGuard(tenant_id, _NAME + name_key, project_id=project_id)


def of_identifier(tenant_id: str, identifier: str, project_id: str) -> NameGuard:
    """Leads from an identifier, which never changes, to the project's id."""
    return NameGuard(tenant_id, _IDENTIFIER + identifier, project_id=project_id)


def id_of(tenant_id: str, name: str) -> str | None:
    """The project's id by its id or its identifier; only an identifier takes a read."""
    if clock.is_id(name):
        return name
    if not rules.is_identifier(name):
        return None
    guard = records.read(NameGuard, tenant_id, _IDENTIFIER + name, consistent=True)
    return str(guard.project_id) if guard else None
