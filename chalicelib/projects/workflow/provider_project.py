"""The project itself at its provider, and connections to the provider."""

from pynamodb.expressions.update import Action

from chalicelib.kernel import telemetry
from chalicelib.kernel.errors import Conflict, Retry, Skip
from chalicelib.projects import gateway, models, rules
from chalicelib.projects.gateway import Busy, Provider, Refused
from chalicelib.projects.models import Project
from chalicelib.projects.regions import service as regions
from chalicelib.projects.rules import DELETE_PROJECT, ENSURE_PROJECT, Status
from chalicelib.projects.workflow import progress, runs


def connect(project: Project) -> Provider:
    """A connection to the project's provider; raises Refused when its region was deleted."""
    region = regions.find(project.provider, project.region)
    if region is None:
        raise Refused(f"the region {project.region} of {project.provider} does not exist any more")
    return gateway.connect(region)


def count(connection: Provider, project: Project, *, users: int = 0) -> None:
    """Logs the number of calls that a connection has made so far."""
    telemetry.log.info(
        "provider",
        project=project.id,
        provider=project.provider,
        calls=connection.calls,
        logins=connection.logins,
        users=users,
    )


def ensure(project: Project) -> None:
    """Makes sure that the project exists at its provider, and saves its id there.

    Raises Refused, Busy and Overtaken.
    """
    progress.begin(project, ENSURE_PROJECT)
    with connect(project) as connection:
        provider_id = connection.ensure_project(project.id, project.name)
        count(connection, project)
    changes = []
    if provider_id != project.provider_project_id:
        changes = [Project.provider_project_id.set(provider_id), Project.version.add(1)]
    progress.end(project, ENSURE_PROJECT, *changes)


def delete(project: Project) -> None:
    """Deletes the project at its provider. Raises Refused, Busy and Overtaken.

    Without a saved id it is looked up: an interrupted attempt may have created it. If the region
    was deleted too, there is no provider to ask.
    """
    progress.begin(project, DELETE_PROJECT)
    if project.provider_project_id or regions.find(project.provider, project.region):
        with connect(project) as connection:
            provider_id = project.provider_project_id or connection.find_project(project.id)
            if provider_id:
                connection.delete_project(provider_id)
            count(connection, project)
    progress.end(project, DELETE_PROJECT, Project.provider_project_id.remove())


def switch(tenant_id: str, project_id: str, *, on: bool) -> None:
    """Suspends or resumes the project, first at its provider and then in its own row.

    Raises Retry while users are being synced, Skip when the project's status has changed otherwise.
    If users were changed while the project was suspended, a run syncs them before it is active.
    """
    before: Status = "suspended" if on else "active"
    after: Status = "active" if on else "suspended"
    project = models.get_project(tenant_id, project_id)
    if project is not None and project.status == "provisioning":
        raise Retry("the project is being provisioned", after_seconds=30)
    if project is None or project.status != before or not rules.may(before, after):
        raise Skip("not-wanted")
    try:
        with connect(project) as connection:
            connection.ensure_project(project.id, project.name, enabled=on)
    except Busy as busy:
        raise Retry(str(busy), charged=True) from busy
    except Refused as refused:
        raise Conflict(str(refused)) from refused
    if on and project.requests != project.requests_seen:
        _catch_up(project)
    else:
        _enter(project, before, after)


def _catch_up(project: Project) -> None:
    try:
        runs.catch_up(project)
    except Conflict as conflict:
        raise Retry(conflict.detail, charged=True) from conflict


def _enter(project: Project, before: Status, after: Status) -> None:
    version = int(project.version)
    actions: list[Action] = [Project.status.set(after), Project.version.set(version + 1)]
    unchanged = (Project.status == before) & (Project.version == version)
    unchanged &= Project.requests == int(project.requests)
    if not project.change_if(unchanged, actions, read=True):
        raise Retry("the project was changed meanwhile", charged=True)
    telemetry.log.info("project switched", project=project.id, status=after)
    progress.push(project)
