"""Projects as the API shows and takes them."""

from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec

from chalicelib.kernel.http.validation import Name, Text
from chalicelib.kernel.store.paging import PageQuery
from chalicelib.projects import rules
from chalicelib.projects.rules import Estimate, ProjectRole, Provider, State, Status, StepStatus

if TYPE_CHECKING:
    from chalicelib.projects.models import Participant, Project

Word = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[!-~]+\Z",
        description="1 to 100 printable characters without blanks",
    ),
]
UserIds = Annotated[
    list[Word],
    msgspec.Meta(
        min_length=1,
        max_length=rules.MOST_USER_IDS,
        description=f"a list of 1 to {rules.MOST_USER_IDS} ids of users",
    ),
]
MaybeUserIds = Annotated[
    list[Word],
    msgspec.Meta(
        max_length=rules.MOST_USER_IDS,
        description=f"a list of at most {rules.MOST_USER_IDS} ids of users; add others afterwards",
    ),
]


class NewProjectBody(msgspec.Struct, frozen=True, kw_only=True):
    """A project to create; provider and region are the tenant's unless they are named."""

    name: Name
    description: Text = ""
    provider: Provider | None = None
    region: Word | None = None
    user_ids: MaybeUserIds = []


class ProjectChange(msgspec.Struct, frozen=True, kw_only=True):
    """New values of a project; what is left out stays as it is."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType = msgspec.UNSET


class NewParticipants(msgspec.Struct, frozen=True, kw_only=True):
    """Users who shall take part too."""

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
    """A step of a project's workflow; `error` is that of its last attempt that came to nothing."""

    name: str
    status: StepStatus
    started_at: str | None
    finished_at: str | None
    attempts: int
    error: str | None


class UsersView(msgspec.Struct, frozen=True, kw_only=True):
    """How many users take part, and for how many of them all is done, or has failed."""

    total: int
    synced: int
    failed: int


class ProgressView(msgspec.Struct, frozen=True, kw_only=True):
    """How far the workflow is."""

    step: str | None
    percent: int
    steps: list[StepView]
    users: UsersView


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """A project's status and how far its workflow is."""

    status: Status
    progress: ProgressView
    error: str | None
    provisioning_started_at: str
    provisioning_completed_at: str | None
    estimated_completion: str | None


class EstimateView(msgspec.Struct, frozen=True, kw_only=True):
    """How long such a workflow takes: the median, and the time in which nine of ten are done.

    Learned from so many past runs at this provider; with none it is only assumed.
    """

    p50_seconds: int
    p90_seconds: int
    past_runs: int
    assumed: bool


class ProjectCreated(ProjectView, frozen=True, kw_only=True):
    """A project just created, and what its estimated completion comes from."""

    estimate: EstimateView


class ParticipantView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who takes part in a project."""

    user_id: str
    name: str
    role: ProjectRole
    status: State
    leaving: bool
    attempts: int
    error: str | None
    changed_at: str


def _project(project: "Project") -> dict[str, Any]:
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


def _run(project: "Project") -> dict[str, Any]:
    """An estimate of what has ended would be of no use."""
    return {
        "error": project.error,
        "provisioning_started_at": project.started_at,
        "provisioning_completed_at": project.completed_at,
        "estimated_completion": project.estimated_at if project.is_running else None,
    }


def project_view(project: "Project") -> ProjectView:
    return ProjectView(**_project(project))


def created_view(project: "Project", usual: Estimate) -> ProjectCreated:
    learned = EstimateView(
        p50_seconds=usual.p50_seconds,
        p90_seconds=usual.p90_seconds,
        past_runs=usual.runs,
        assumed=usual.runs == 0,
    )
    return ProjectCreated(**_project(project), estimate=learned)


def status_view(project: "Project") -> StatusView:
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


def _steps(project: "Project") -> list[StepView]:
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


def participant_view(part: "Participant") -> ParticipantView:
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
