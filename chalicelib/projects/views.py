"""The bodies, queries and answers of the API of projects."""

from typing import Annotated, Any, cast

import msgspec

from chalicelib.kernel.http.fields import Name, Text
from chalicelib.kernel.store.paging import PageQuery
from chalicelib.projects import rules
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.rules import Estimate, ProjectRole, Provider, State, Status, StepStatus

Identifier = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[!-~]+\Z",
        description="1 to 100 printable characters without blanks",
    ),
]
UserIds = Annotated[
    list[Identifier],
    msgspec.Meta(
        min_length=1,
        max_length=rules.MOST_USER_IDS,
        description=f"a list of 1 to {rules.MOST_USER_IDS} ids of users",
    ),
]
MaybeUserIds = Annotated[
    list[Identifier],
    msgspec.Meta(
        max_length=rules.MOST_USER_IDS,
        description=f"a list of at most {rules.MOST_USER_IDS} ids of users; add others afterwards",
    ),
]


class NewProjectBody(msgspec.Struct, frozen=True, kw_only=True):
    """A project to create; the tenant has defaults for provider and region."""

    name: Name
    description: Text = ""
    provider: Provider | None = None
    region: Identifier | None = None
    user_ids: MaybeUserIds = []


class ProjectChange(msgspec.Struct, frozen=True, kw_only=True):
    """New values of a project; members that are left out stay as they are."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType = msgspec.UNSET


class NewParticipants(msgspec.Struct, frozen=True, kw_only=True):
    """Users to add to a project."""

    user_ids: UserIds


class ProjectsQuery(PageQuery, frozen=True, kw_only=True):
    """Filters of the list of projects."""

    status: Status | None = None


class ParticipantsQuery(PageQuery, frozen=True, kw_only=True):
    """Filters of the list of a project's participants."""

    status: State | None = None


class ProjectView(msgspec.Struct, frozen=True, kw_only=True):
    """A project."""

    id: str
    identifier: str
    name: str
    description: str
    status: Status
    provider: str
    region: str
    provider_project_id: str | None
    error: str | None
    created_at: str
    provisioning_started_at: str
    provisioning_completed_at: str | None
    estimated_completion: str | None


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a project's workflow; `error` is the error of its last failed attempt."""

    name: str
    status: StepStatus
    started_at: str | None
    finished_at: str | None
    attempts: int
    error: str | None


class UsersView(msgspec.Struct, frozen=True, kw_only=True):
    """How many users a project has, and how many of them are synced or have failed."""

    total: int
    synced: int
    failed: int


class ProgressView(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of the workflow."""

    step: str | None
    percent: int
    steps: list[StepView]
    users: UsersView


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """A project's status and the progress of its workflow."""

    status: Status
    progress: ProgressView
    error: str | None
    provisioning_started_at: str
    provisioning_completed_at: str | None
    estimated_completion: str | None


class EstimateView(msgspec.Struct, frozen=True, kw_only=True):
    """How long the workflow takes: half of the runs, and nine of ten, are done in these times.

    Made from past runs at this provider; `assumed` when there are none.
    """

    p50_seconds: int
    p90_seconds: int
    past_runs: int
    assumed: bool


class ProjectCreated(ProjectView, frozen=True, kw_only=True):
    """A new project, and the estimate that its estimated completion is made of."""

    estimate: EstimateView


class ParticipantView(msgspec.Struct, frozen=True, kw_only=True):
    """A participant of a project."""

    user_id: str
    name: str
    role: ProjectRole
    status: State
    leaving: bool
    attempts: int
    error: str | None
    changed_at: str


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "identifier": project.identifier,
        "name": project.name,
        "description": project.description,
        "status": project.status,
        "provider": project.provider,
        "region": project.region,
        "provider_project_id": project.provider_project_id,
        **_run(project),
        "created_at": project.created_at,
    }


def _run(project: Project) -> dict[str, Any]:
    """The last run. Once it has ended it has no estimated completion."""
    return {
        "error": project.error,
        "provisioning_started_at": project.started_at,
        "provisioning_completed_at": project.completed_at,
        "estimated_completion": project.estimated_at if project.is_running else None,
    }


def project_view(project: Project) -> ProjectView:
    return ProjectView(**_project(project))


def created_view(project: "Project", estimate: Estimate) -> ProjectCreated:
    estimate_view = EstimateView(
        p50_seconds=estimate.p50_seconds,
        p90_seconds=estimate.p90_seconds,
        past_runs=estimate.runs,
        assumed=estimate.runs == 0,
    )
    return ProjectCreated(**_project(project), estimate=estimate_view)


def status_view(project: Project) -> StatusView:
    users = project.users
    return StatusView(
        status=cast("Status", project.status),
        progress=ProgressView(
            step=project.step,
            percent=project.percent,
            steps=_steps(project),
            users=UsersView(total=users.total, synced=users.synced, failed=users.failed),
        ),
        **_run(project),
    )


def _steps(project: Project) -> list[StepView]:
    rows = project.step_rows
    names = [name for steps in rules.STEPS.values() for name in steps]
    ordered = sorted(rows, key=lambda name: names.index(name) if name in names else len(names))
    return [_step(name, rows[name]) for name in ordered]


def _step(name: str, row: dict[str, Any]) -> StepView:
    return StepView(
        name=name,
        status=row["status"],
        started_at=row.get("started_at"),
        finished_at=row.get("finished_at"),
        attempts=int(row["attempts"]),
        error=row.get("error"),
    )


def participant_view(part: Participant) -> ParticipantView:
    return ParticipantView(
        user_id=part.id,
        name=part.name,
        role=cast("ProjectRole", part.role),
        status=cast("State", part.state),
        leaving=part.wanted == "gone",
        attempts=int(part.attempts),
        error=part.error,
        changed_at=part.changed_at,
    )
