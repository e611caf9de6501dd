"""The project itself at its provider, and connections to it."""

from pynamodb.expressions.update import Action

from chalicelib.kernel import telemetry
from chalicelib.kernel.errors import Conflict, Retry, Skip
from chalicelib.projects import gateway, models, rules
from chalicelib.projects.gateway import Busy, Provider, Refused
from chalicelib.projects.models import Project
from chalicelib.projects.regions import service as regions
from chalicelib.projects.rules import Status
from chalicelib.projects.workflow import progress, runs


def connect(project: Project) -> Provider:
    """A connection to the project's provider; raises Refused when its region is gone."""
    region = regions.find(project.provider, project.region)
    if region is None:
        raise Refused(f"{project.provider} has no region {project.region} any more")
    return gateway.connect(region)


def count(connection: Provider, project: Project, *, users: int = 0) -> None:
    """One line and a few metrics of what a connection has cost so far."""
    telemetry.log.info(
        "provider",
        project=project.id,
        provider=project.provider,
        calls=connection.calls,
        logins=connection.logins,
        users=users,
    )


def ensure(project: Project) -> None:
    """The project exists at its provider, and we know it there. Raises Refused, Busy, Overtaken."""
    progress.begin(project, "ensure_project")
    with connect(project) as connection:
        found = connection.ensure_project(project.id, project.name)
        count(connection, project)
    news = []
    if found != project.provider_project_id:
        news = [Project.provider_project_id.set(found), Project.version.add(1)]
    progress.end(project, "ensure_project", *news)


def delete(project: Project) -> None:
    """The project is gone at its provider. Raises Refused, Busy, Overtaken.

    One that we know no id of is looked for: it may have been made by an attempt that could not say
    so any more. Where its region is gone too there is nobody to ask.
    """
    progress.begin(project, "delete_project")
    if project.provider_project_id or regions.find(project.provider, project.region):
        with connect(project) as connection:
            found = project.provider_project_id or connection.find_project(project.id)
            if found:
                connection.delete_project(found)
            count(connection, project)
    progress.end(project, "delete_project", Project.provider_project_id.remove())


def switch(tenant_id: str, project_id: str, *, on: bool) -> None:
    """Suspends or resumes the project, first at its provider and then in its own row.

    Waits while users are being synced. What was asked for meanwhile is caught up with by a run,
    after which it is active. Raises Skip when that is no longer what to do.
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
    progress.tell(project)
