"""The values of the notices about a project, read at the time of sending."""

from typing import Any

from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.errors import Skip
from chalicelib.projects import models
from chalicelib.projects.models import Project


def of_success(tenant_id: str, project_id: str, run: int) -> dict[str, Any]:
    """Values of the notice that a project is ready; raises Skip if another run began since."""
    project = _unchanged(tenant_id, project_id, run)
    return {**_common(project), "users": int(project.users_synced)}


def of_failure(tenant_id: str, project_id: str, run: int) -> dict[str, Any]:
    """Values of the notice that a run failed; raises Skip if another run began since."""
    project = _unchanged(tenant_id, project_id, run)
    return {**_common(project), "reason": project.error or ""}


def _unchanged(tenant_id: str, project_id: str, run: int) -> Project:
    project = models.get_project(tenant_id, project_id)
    if project is None or int(project.run) != run:
        raise Skip("project-changed")
    return project


def _common(project: Project) -> dict[str, Any]:
    tenant = tenancy.find(str(project.tenant))
    return {
        "name": project.name,
        "tenant_name": tenant.name if tenant else str(project.tenant),
        "link": f"{project.base_url}/projects/{project.id}",
    }
