"""Runs of the workflow, and what people may ask of a project: each begins with one transaction.

A run converges: participants say what is wanted and how far they are, and a run does what is
missing. Retrying, adding and removing users and deprovisioning are therefore one workflow, begun
again under the next number. What was begun under an earlier number does nothing any more.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action as Update

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.errors import AppError, Conflict, NotFound, Skip
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import preconditions
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.projects import durations, models, rules
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.rules import Action, Estimate, Kind, Status
from chalicelib.projects.workflow import progress

LOOK_SECONDS = 60  #: between two looks of the reconciler at one project
_ENTERS: dict[Kind, Status] = {
    "provision": "provisioning",
    "users": "provisioning",
    "deprovision": "deprovisioning",
}


def enter(project: Project, kind: Kind, usual: Estimate) -> None:
    """Sets on the project at hand what a new run begins with."""
    now = clock.epoch_seconds()
    project.status = _ENTERS[kind]
    project.kind = kind
    project.run = int(project.run) + 1
    project.started_at = clock.iso(clock.now())
    project.completed_at = project.error = project.step = None
    project.estimated_at = clock.iso_seconds(now + usual.p90_seconds)
    project.steps = progress.fresh(kind)
    project.floor = project.users_failed = project.users_removed = 0
    project.limit_at = now + settings.provisioning_seconds
    project.watch_shard = models.watch_shard(project.id)
    project.watch_at = now + min(LOOK_SECONDS, settings.provisioning_seconds)


_ENTERED = (
    *("status", "kind", "run", "started_at", "estimated_at", "steps", "floor"),
    *("users_failed", "users_removed", "limit_at", "watch_shard", "watch_at"),
)
_CLEARED = ("completed_at", "error", "step")


def _entering(project: Project) -> list[Update]:
    """What `enter` has set, as an update."""
    return [
        *(getattr(Project, name).set(getattr(project, name)) for name in _ENTERED),
        *(getattr(Project, name).remove() for name in _CLEARED),
    ]


def enqueue_start(tx: Transaction, project: Project) -> Job:
    return tx.enqueue("projects.start", project_id=project.id, run=int(project.run))


def start(tenant_id: str, project_id: str, run: int) -> str:
    """Starts the workflow of a run; a second start of it is the same execution.

    Raises Skip when the run has ended before it began.
    """
    try:
        project = progress.read_run(tenant_id, project_id, run)
    except progress.Overtaken as overtaken:
        raise Skip("run-over") from overtaken
    name = execution_name(project)
    content = {"tenant": tenant_id, "project": project_id, "run": run, "kind": project.kind}
    try:
        aws.client("stepfunctions").start_execution(
            stateMachineArn=machine_arn(), name=name, input=json.dumps(content)
        )
    except aws.ServiceError as error:
        if aws.code_of(error) != "ExecutionAlreadyExists":
            raise
    telemetry.log.info("run started", project=project_id, run=run, kind=project.kind)
    return name


def execution_name(project: Project) -> str:
    return f"{project.id}-{int(project.run)}"


_machine: list[str] = []


def machine_arn() -> str:
    """The address of the state machine, from settings or asked once per instance."""
    if settings.provision_machine_arn:
        return settings.provision_machine_arn
    if not _machine:
        name = settings.resource("provision-project")
        with telemetry.configuration():
            found = _machines()
            _machine.extend(each["stateMachineArn"] for each in found if each["name"] == name)
    if not _machine:
        raise LookupError("the state machine of projects is not there")
    return _machine[0]


def _machines() -> Iterator[dict[str, Any]]:
    """All state machines; page by page, since botocore's paginators do not ship."""
    following: dict[str, str] | None = {}
    while following is not None:
        page = aws.client("stepfunctions").list_state_machines(**following)
        yield from page["stateMachines"]
        following = {"nextToken": page["nextToken"]} if page.get("nextToken") else None


def retry(tx: Transaction, project: Project, if_match: IfMatch) -> None:
    """Adds another run to `tx`, of the kind that failed; it does what is missing."""
    kind: Kind = "deprovision" if project.kind == "deprovision" else "provision"
    _begin(tx, project, "retry", kind, if_match)


def deprovision(tx: Transaction, project: Project, if_match: IfMatch) -> None:
    """Adds a run to `tx` that undoes all at the provider."""
    _begin(tx, project, "deprovision", "deprovision", if_match)


def _begin(
    tx: Transaction,
    project: Project,
    action: Action,
    kind: Kind,
    if_match: IfMatch = None,
) -> None:
    fits = _unchanged(project) & Project.status.is_in(*rules.ALLOWED[action])
    condition = preconditions.and_unchanged_since(
        project, if_match, "project", fits, _refusal(project, action)
    )
    enter(project, kind, durations.find(project.provider))
    project.version = int(project.version) + 1
    actions = [*_entering(project), Project.version.set(project.version)]
    tx.update(project, actions, *condition)
    enqueue_start(tx, project)


def _refusal(project: Project, action: Action) -> AppError:
    """What a commit that fails means, by the project as seen before it."""
    status = cast("Status", project.status)
    if status not in rules.ALLOWED[action]:
        return Conflict(rules.why_not(action, status))
    return Conflict("Another change came between; try again")


def suspend(tx: Transaction, project: Project, if_match: IfMatch) -> None:
    """Adds to `tx` the job after which the project is suspended."""
    _allow(tx, project, "suspend", if_match)
    tx.enqueue("projects.suspend", project_id=project.id)


def resume(tx: Transaction, project: Project, if_match: IfMatch) -> None:
    """Adds to `tx` the job after which the project is active again."""
    _allow(tx, project, "resume", if_match)
    tx.enqueue("projects.resume", project_id=project.id)


def _allow(tx: Transaction, project: Project, action: Action, if_match: IfMatch) -> None:
    allowed = Project.status.is_in(*rules.ALLOWED[action])
    condition = preconditions.and_unchanged_since(
        project, if_match, "project", allowed, _refusal(project, action)
    )
    tx.check(Project, (str(project.tenant), str(project.sk)), *condition)


def add_users(
    tx: Transaction, project: Project, person_ids: tuple[str, ...], if_match: IfMatch
) -> None:
    """Adds to `tx` that these people shall take part; an active project is provisioned again."""
    tx.create(models.request(tx.tenant_id, project.id, person_ids, int(project.requests)))
    _change_users(tx, project, [Project.users_total.add(len(person_ids))], if_match=if_match)


def remove_user(
    tx: Transaction, project: Project, part: Participant | None, if_match: IfMatch
) -> None:
    """Adds to `tx` that this person no longer takes part. They see the project no more at once.

    Raises NotFound for somebody who takes no part.
    """
    if part is None or part.wanted == "gone":
        raise NotFound("No participant of this id; one just asked for can be removed once added")
    let_go(tx, project, part, "change its users", if_match)


def let_go(
    tx: Transaction,
    project: Project,
    part: Participant,
    action: Action,
    if_match: IfMatch = None,
) -> None:
    """Adds to `tx` that a participant shall be gone, and the run that sees to it."""
    leaving: list[Update] = [
        Participant.wanted.set("gone"),
        Participant.left.set(int(project.requests)),
        Participant.member_key.remove(),
    ]
    total = Project.users_total.add(-1)
    counted = [total, *_unsettle(tx, project, part, leaving)]
    _change_users(tx, project, counted, action, if_match)


def change_part(tx: Transaction, project: Project, part: Participant, news: list[Update]) -> None:
    """Adds to `tx` what is new of a participant, and the run that makes it so."""
    _change_users(tx, project, _unsettle(tx, project, part, news), "follow its people")


def _unsettle(
    tx: Transaction, project: Project, part: Participant, news: list[Update]
) -> list[Update]:
    """Adds to `tx` that something else is wanted of a part; what that changes in the counts."""
    waiting = [
        Participant.state.set("waiting"),
        Participant.revision.set(int(part.revision) + 1),
        Participant.changed_at.set(clock.iso(clock.now())),
    ]
    error = Conflict("Another change came between; try again")
    tx.update(part, [*news, *waiting], Participant.revision == int(part.revision), error)
    if part.state == "synced":
        return [Project.users_synced.add(-1)]
    if part.state == "failed" and project.is_running:
        return [Project.users_failed.add(-1)]
    return []


def catch_up(project: Project) -> None:
    """Begins a run for what was asked of a project while it was suspended. Raises Conflict."""
    tx = Transaction(str(project.tenant))
    _begin(tx, project, "resume", "users")
    tx.commit()


def _change_users(
    tx: Transaction,
    project: Project,
    counted: list[Update],
    action: Action = "change its users",
    if_match: IfMatch = None,
) -> None:
    """While a run is at work it is told by `requests`; else a new one begins. One that is suspended
    catches up when it is resumed.

    A project whose first run failed gets a whole one: what failed then is still missing.
    """
    error = _refusal(project, action)
    fits = Project.status.is_in(*rules.ALLOWED[action]) & (Project.run == int(project.run))
    fits &= Project.status == project.status
    if project.kind == "deprovision":
        error = Conflict("The project is being undone, or half of it is; nobody can join")
        fits &= Project.kind != "deprovision"
    fits, error = preconditions.and_unchanged_since(project, if_match, "project", fits, error)
    actions: list[Update] = [Project.requests.add(1), *counted]
    if project.status == "provisioning":
        actions.append(Project.floor.set(project.percent))
        fits &= progress.as_counted(project)
    elif project.status != "suspended":
        kind: Kind = "users" if project.status == "active" else "provision"
        fits &= _unchanged(project)
        enter(project, kind, durations.find(project.provider))
        project.version = int(project.version) + 1
        actions += [*_entering(project), Project.version.set(project.version)]
        enqueue_start(tx, project)
    tx.update(project, actions, fits, error)


def _unchanged(project: Project) -> Condition:
    return Project.version == int(project.version)
