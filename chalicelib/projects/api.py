"""Projects over HTTP."""

from typing import Any

from chalicelib.kernel.auth.tenancy import EVERYONE, MANAGERS, Caller
from chalicelib.kernel.http import validation
from chalicelib.kernel.http.routes import Calls, Reply, Request, Routes
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.store import paging
from chalicelib.projects import membership, service
from chalicelib.projects.views import (
    NewParticipants,
    NewProjectBody,
    ParticipantsQuery,
    ParticipantView,
    ProjectChange,
    ProjectCreated,
    ProjectsQuery,
    ProjectView,
    StatusView,
    created_view,
    participant_view,
    project_view,
    status_view,
)
from chalicelib.projects.workflow import runs

routes = Routes()

BY_NAME = Calls(dynamodb=2)  #: one read by an id, two by an identifier
READ_AND_QUEUED = Calls(dynamodb=2, sqs=1)
_CREATED = "Project created successfully. Infrastructure provisioning in progress."


validation.register_check(NewProjectBody, service.extra_errors)


@routes.post(
    "/admin/v1/projects",
    allow=MANAGERS,
    status=201,
    answers=ProjectCreated,
    extra={"status": str, "estimated_completion": str},
    errors=(409,),
    calls=Calls(dynamodb=1, sqs=1),
)
def create_project(caller: Caller, body: NewProjectBody, request: Request) -> Reply:
    """Create a project. It is provisioned after the answer; the status shows the progress.

    The named users, the tenant's managers and staff, and the platform's admins take part in it.
    """
    tx = service.ProjectTransaction(caller.tenant_id)
    ids = service.unique(body.user_ids)
    new = service.NewProject(body.name, body.description, body.provider, body.region, ids)
    project = service.create(tx, caller, new, base_url=request.base_url)
    return Reply(
        created_view(project, service.estimate(project)),
        message=_CREATED,
        extra={"status": project.status, "estimated_completion": project.estimated_at},
        headers={"Location": f"{request.base_url}/admin/v1/projects/{project.id}"},
        version=int(project.version),
        commit=tx,
    )


@routes.get(
    "/admin/v1/projects",
    allow=EVERYONE,
    answers=ProjectView,
    paginated=True,
    calls=Calls(dynamodb=paging.MAX_CALLS),
)
def list_projects(caller: Caller, query: ProjectsQuery) -> Reply:
    """List projects, newest first. Managers see all of the tenant's, others those they are in."""
    page = membership.list_projects(caller, query, query.status)
    return Reply([project_view(project) for project in page.items], meta=page.meta)


@routes.get(
    "/admin/v1/projects/{project_id}",
    allow=EVERYONE,
    answers=ProjectView,
    errors=(404,),
    calls=BY_NAME,
)
def get_project(caller: Caller, project_id: str) -> Reply:
    """Read one project, by its id or its identifier."""
    project = membership.find_named(caller, project_id)
    return Reply(project_view(project), version=int(project.version))


@routes.get(
    "/admin/v1/projects/{project_id}/status",
    allow=EVERYONE,
    answers=StatusView,
    errors=(404,),
    calls=BY_NAME,
    polled=True,
)
def get_project_status(caller: Caller, project_id: str) -> Reply:
    """Read the progress of a project, by its id or its identifier."""
    project = membership.find_named(caller, project_id)
    headers = {"Retry-After": "2"} if project.is_running else {}
    return Reply(status_view(project), headers=headers)


@routes.patch(
    "/admin/v1/projects/{project_id}",
    allow=MANAGERS,
    answers=ProjectView,
    errors=(404, 409, 412),
    calls=Calls(dynamodb=2),
)
def change_project(caller: Caller, project_id: str, body: ProjectChange, request: Request) -> Reply:
    """Change a project's name or description."""
    tx = Transaction(caller.tenant_id)
    project = service.change(tx, project_id, validation.provided(body), request.if_match)
    return Reply(project_view(project), version=int(project.version), commit=tx)


CHANGED: dict[str, Any] = {
    "allow": MANAGERS,
    "status": 202,
    "answers": ProjectView,
    "errors": (404, 409, 412),
    "calls": READ_AND_QUEUED,
}


@routes.post("/admin/v1/projects/{project_id}/retry", **CHANGED)
def retry_project(caller: Caller, project_id: str, request: Request) -> Reply:
    """Try a failed project again. Only what is missing is done."""
    tx = Transaction(caller.tenant_id)
    project = service.get(caller.tenant_id, project_id)
    runs.retry(tx, project, request.if_match)
    return _queued(project, tx, request, "Queued; the status shows the progress")


@routes.delete("/admin/v1/projects/{project_id}", **CHANGED)
def delete_project(caller: Caller, project_id: str, request: Request) -> Reply:
    """Delete a project and its users' credentials at the provider. Its name is free afterwards."""
    tx = Transaction(caller.tenant_id)
    project = service.get(caller.tenant_id, project_id)
    runs.deprovision(tx, project, request.if_match)
    return _queued(project, tx, request, "Queued; the status shows the progress")


@routes.post("/admin/v1/projects/{project_id}/suspend", **CHANGED)
def suspend_project(caller: Caller, project_id: str, request: Request) -> Reply:
    """Switch an active project off at its provider. Its status is `suspended` afterwards."""
    tx = Transaction(caller.tenant_id)
    project = service.get(caller.tenant_id, project_id)
    runs.suspend(tx, project, request.if_match)
    return _queued(project, tx, request, "Suspension queued")


@routes.post("/admin/v1/projects/{project_id}/resume", **CHANGED)
def resume_project(caller: Caller, project_id: str, request: Request) -> Reply:
    """Switch a suspended project on again. Its status is `active` afterwards."""
    tx = Transaction(caller.tenant_id)
    project = service.get(caller.tenant_id, project_id)
    runs.resume(tx, project, request.if_match)
    return _queued(project, tx, request, "Resumption queued")


@routes.get(
    "/admin/v1/projects/{project_id}/users",
    allow=EVERYONE,
    answers=ParticipantView,
    paginated=True,
    errors=(404,),
    calls=Calls(dynamodb=paging.MAX_CALLS),
)
def list_project_users(caller: Caller, project_id: str, query: ParticipantsQuery) -> Reply:
    """List the participants of a project, with the progress of each."""
    page = membership.list_participants(caller, project_id, query, query.status)
    return Reply([participant_view(part) for part in page.items], meta=page.meta)


@routes.post("/admin/v1/projects/{project_id}/users", **CHANGED)
def add_project_users(
    caller: Caller, project_id: str, body: NewParticipants, request: Request
) -> Reply:
    """Add users to a project. They are added at the provider in the background."""
    tx = service.ProjectTransaction(caller.tenant_id)
    ids = service.unique(body.user_ids)
    project = service.get(caller.tenant_id, project_id)
    tx.require_users(ids)
    runs.add_users(tx, project, ids, request.if_match)
    return _queued(project, tx, request, "Queued; the status shows the progress")


@routes.delete("/admin/v1/projects/{project_id}/users/{user_id}", **CHANGED)
def remove_project_user(caller: Caller, project_id: str, user_id: str, request: Request) -> Reply:
    """Remove a user from a project. They cannot see it any more at once; the provider removes their
    access in the background.
    """
    tx = Transaction(caller.tenant_id)
    project, part = membership.find_part(caller, project_id, user_id)
    runs.remove_user(tx, project, part, request.if_match)
    return _queued(project, tx, request, "Queued; the status shows the progress")


@routes.post("/admin/v1/projects/{project_id}/users/{user_id}/rotate-credential", **CHANGED)
def rotate_credential(caller: Caller, project_id: str, user_id: str, request: Request) -> Reply:
    """Give a user of an active project a new credential. In the background it is made and proved;
    only then is the old one deleted.
    """
    tx = Transaction(caller.tenant_id)
    project, part = membership.find_part(caller, project_id, user_id)
    runs.rotate_credential(tx, project, part, request.if_match)
    return _queued(project, tx, request, "Queued; the status shows the progress")


def _queued(project: Any, tx: Transaction, request: Request, message: str) -> Reply:
    return Reply(
        project_view(project),
        message=message,
        headers={"Location": f"{request.base_url}/admin/v1/projects/{project.id}/status"},
        version=int(project.version),
        commit=tx,
    )
