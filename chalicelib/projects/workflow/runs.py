"""How runs of the workflow begin: the actions of people on a project, each one transaction.

A run converges: the rows of participants say what they should be and what they are, and a run does
what is missing. So retrying, adding and removing users, and deprovisioning are one workflow, which
begins again under the next number. Steps of a run with an earlier number do nothing any more.
"""

import json
from typing import cast

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action as Update

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.errors import AppError, Conflict, NotFound, Skip, Unavailable
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.store import preconditions
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.projects import durations, models, rules
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.rules import Action, Estimate, Kind, Status
from chalicelib.projects.settings import settings
from chalicelib.projects.workflow import progress

CHECK_SECONDS = 60  #: between two checks of one project by the reconciler
_CHANGED = "Another change came between; read the project and try again"
_STATUS_OF_RUN: dict[Kind, Status] = {
    "provision": "provisioning",
    "users": "provisioning",
    "deprovision": "deprovisioning",
}


def enter(project: Project, kind: Kind, estimate: Estimate) -> None:
    """Sets the attributes that a new run begins with, on `project` only."""
    now = clock.epoch_seconds()
    project.status = _STATUS_OF_RUN[kind]
    project.kind = kind
    project.run = int(project.run) + 1
    project.started_at = clock.iso(clock.now())
    project.completed_at = project.error = project.step = None
    project.estimated_at = clock.iso_seconds(now + estimate.p90_seconds)
    project.steps = progress.new_rows(kind)
    project.floor = project.users_failed = project.users_removed = project.paused_seconds = 0
    project.limit_at = now + settings.provisioning_seconds
    project.watch_shard = models.watch_shard(project.id)
    project.watch_at = now + min(CHECK_SECONDS, settings.provisioning_seconds)


_ENTERED = (
    *("status", "kind", "run", "started_at", "estimated_at", "steps", "floor"),
    *("users_failed", "users_removed", "limit_at", "watch_shard", "watch_at"),
    "paused_seconds",
)
_CLEARED = ("completed_at", "error", "step")


def entering(project: Project) -> list[Update]:
    """The attributes that `enter` has set, as actions of an update."""
    return [
        *(getattr(Project, name).set(getattr(project, name)) for name in _ENTERED),
        *(getattr(Project, name).remove() for name in _CLEARED),
    ]


def same_run(project: Project) -> Condition:
    """Holds while the run of `project`, as it was read, has not ended, parked or not."""
    is_same: Condition = (Project.run == int(project.run)) & Project.status.is_in(*rules.RUNNING)
    return is_same


def enqueue_start(tx: Transaction, project: Project) -> Job:
    return tx.enqueue("projects.start", project_id=project.id, run=int(project.run))


def start(tenant_id: str, project_id: str, run: int) -> str:
    """Starts the workflow of a run and returns its execution's name; starting it twice is safe.

    Raises Skip when the run is over already.
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


def machine_arn() -> str:
    """The state machine's ARN; raises Unavailable while PROVISION_MACHINE_ARN is not set.

    A job that needs it waits until it is set.
    """
    if not settings.provision_machine_arn:
        raise Unavailable("PROVISION_MACHINE_ARN is not set: no project's workflow can be started")
    return settings.provision_machine_arn


def retry(tx: Transaction, project: Project, if_match: IfMatch) -> None:
    """Adds another run to `tx`, which does what the failed one has left to do."""
    kind: Kind = "deprovision" if project.kind == "deprovision" else "provision"
    _begin(tx, project, "retry", kind, if_match)


def deprovision(tx: Transaction, project: Project, if_match: IfMatch) -> None:
    """Adds a run to `tx` that deletes everything of the project at the provider."""
    _begin(tx, project, "deprovision", "deprovision", if_match)


def _begin(
    tx: Transaction,
    project: Project,
    action: Action,
    kind: Kind,
    if_match: IfMatch = None,
) -> None:
    allowed = _unchanged(project) & Project.status.is_in(*rules.ALLOWED[action])
    condition = preconditions.and_unchanged_since(
        project, if_match, "project", allowed, _refusal(project, action)
    )
    enter(project, kind, durations.find(project.provider))
    project.version = int(project.version) + 1
    actions = [*entering(project), Project.version.set(project.version)]
    tx.update(project, actions, *condition)
    enqueue_start(tx, project)


def _refusal(project: Project, action: Action) -> AppError:
    """What it means when the commit fails, by the project as it was read before."""
    status = cast("Status", project.status)
    if status not in rules.ALLOWED[action]:
        return Conflict(rules.why_not(action, status))
    return Conflict(_CHANGED)


def suspend(tx: Transaction, project: Project, if_match: IfMatch) -> None:
    """Adds the job that suspends the project to `tx`."""
    _allow(tx, project, "suspend", if_match)
    tx.enqueue("projects.suspend", project_id=project.id)


def resume(tx: Transaction, project: Project, if_match: IfMatch) -> None:
    """Adds the job that resumes the project to `tx`."""
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
    """Adds a request for these people to `tx`, and a run where one is needed."""
    tx.create(models.request(tx.tenant_id, project.id, person_ids, int(project.requests)))
    _change_users(tx, project, [Project.users_total.add(len(person_ids))], if_match=if_match)


def remove_user(
    tx: Transaction, project: Project, part: Participant | None, if_match: IfMatch
) -> None:
    """Adds the end of a person's part to `tx`; from the commit on they cannot see the project.

    Raises NotFound for somebody who takes no part.
    """
    remove_part(tx, project, _present(part), "change users", if_match)


def rotate_credential(
    tx: Transaction, project: Project, part: Participant | None, if_match: IfMatch
) -> None:
    """Adds the wish for a new credential to `tx`, and the run that makes it at the provider.

    Raises NotFound for somebody who takes no part.
    """
    part = _present(part)
    wanted: list[Update] = [Participant.turn.set(int(part.turn) + 1)]
    counted = _unsettle(tx, project, part, wanted)
    _change_users(tx, project, counted, "rotate credentials", if_match)


def _present(part: Participant | None) -> Participant:
    if part is None or part.wanted == "gone":
        raise NotFound(
            "No participant has this id; if the user was added just now, try again later"
        )
    return part


def remove_part(
    tx: Transaction,
    project: Project,
    part: Participant,
    action: Action,
    if_match: IfMatch = None,
) -> None:
    """Adds the end of a part to `tx`, and the run that removes it at the provider."""
    leaving: list[Update] = [
        Participant.wanted.set("gone"),
        Participant.left.set(int(project.requests)),
        Participant.member_key.remove(),
    ]
    total = Project.users_total.add(-1)
    counted = [total, *_unsettle(tx, project, part, leaving)]
    _change_users(tx, project, counted, action, if_match)


def change_part(
    tx: Transaction, project: Project, part: Participant, changes: list[Update]
) -> None:
    """Adds the changes of a participant to `tx`, and the run that makes them at the provider."""
    _change_users(tx, project, _unsettle(tx, project, part, changes), "sync profiles")


def _unsettle(
    tx: Transaction, project: Project, part: Participant, changes: list[Update]
) -> list[Update]:
    """Adds the changes of a part to `tx`, which then waits for a run; returns count changes."""
    waiting = [
        Participant.state.set("waiting"),
        Participant.revision.set(int(part.revision) + 1),
        Participant.changed_at.set(clock.iso(clock.now())),
    ]
    error = Conflict(_CHANGED)
    tx.update(part, [*changes, *waiting], Participant.revision == int(part.revision), error)
    if part.state == "synced":
        return [Project.users_synced.add(-1)]
    if part.state == "failed" and project.is_running:
        return [Project.users_failed.add(-1)]
    return []


def catch_up(project: Project) -> None:
    """Begins a run for the users that were changed while it was suspended. Raises Conflict."""
    tx = Transaction(str(project.tenant))
    _begin(tx, project, "resume", "users")
    tx.commit()


def _change_users(
    tx: Transaction,
    project: Project,
    counted: list[Update],
    action: Action = "change users",
    if_match: IfMatch = None,
) -> None:
    """Adds the new counts to `tx`, and a new run where it is needed.

    None is needed while one is running, which looks at `requests` before it ends. A suspended
    project catches up when it is resumed. A failed project gets a run of the kind "provision",
    since what its first run did not reach is still missing.
    """
    error = _refusal(project, action)
    allowed = Project.status.is_in(*rules.ALLOWED[action]) & (Project.run == int(project.run))
    allowed &= Project.status == project.status
    if project.kind == "deprovision":
        error = Conflict("The deletion of the project has begun, so its users cannot be changed.")
        allowed &= Project.kind != "deprovision"
    allowed, error = preconditions.and_unchanged_since(project, if_match, "project", allowed, error)
    actions: list[Update] = [Project.requests.add(1), *counted]
    if project.status == "provisioning":
        actions.append(Project.floor.set(project.percent))
        allowed &= progress.counts_unchanged(project)
    elif project.status != "suspended":
        kind: Kind = "users" if project.status == "active" else "provision"
        allowed &= _unchanged(project)
        enter(project, kind, durations.find(project.provider))
        project.version = int(project.version) + 1
        actions += [*entering(project), Project.version.set(project.version)]
        enqueue_start(tx, project)
    tx.update(project, actions, allowed, error)


def _unchanged(project: Project) -> Condition:
    return Project.version == int(project.version)
