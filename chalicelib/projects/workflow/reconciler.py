"""The reconciler: ends runs whose execution has died, or that exceed their time limit.

A run usually ends itself. It cannot when its execution was stopped from outside, timed out (then
none of its steps runs any more), or was never started.
"""

from pynamodb.exceptions import PynamoDBException

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.errors import AppError
from chalicelib.projects import models, rules
from chalicelib.projects.models import Project
from chalicelib.projects.workflow import completion, parking, progress, runs

_ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


def reconcile() -> int:
    """Checks every run that is due and returns how many it ended. Safe to run twice at once."""
    ended = late = 0
    for tenant_id, project_id in list(models.due_for_check(clock.epoch_seconds())):
        try:
            project = models.get_project(tenant_id, project_id)
            if project is None or not project.is_running:
                continue
            if project.is_parked:
                parking.look_after(project)
                continue
            if parking.park_if_suspended(project):
                continue
            late += _exceeds_limit(project)
            ended += _check(project)
        except Exception as error:  # noqa: BLE001  it must not hold up the other projects
            is_known = isinstance(error, (AppError, *aws.CALL_FAILED, PynamoDBException))
            write = telemetry.log.warning if is_known else telemetry.log.exception
            kind, detail = type(error).__name__, getattr(error, "detail", "")
            write("not looked at", project=project_id, error=kind, detail=detail)
    telemetry.emit({"runs_over_limit": late, "runs_ended_from_outside": ended})
    return ended


def _exceeds_limit(project: Project) -> bool:
    return bool(project.limit_at <= clock.epoch_seconds())


def _check(project: Project) -> bool:
    """True when the run was ended."""
    arn = runs.machine_arn().replace(":stateMachine:", ":execution:")
    arn = f"{arn}:{runs.execution_name(project)}"
    status = _status_of(arn)
    if not _exceeds_limit(project) and status not in _ENDED:
        _check_later(project)
        return False
    if status == "RUNNING":
        aws.client("stepfunctions").stop_execution(executionArn=arn, cause="past its limit")
    return _end(project, status)


def _status_of(arn: str) -> str:
    """The execution's status; empty when there is none."""
    try:
        answer = aws.client("stepfunctions").describe_execution(executionArn=arn)
    except aws.ServiceError as error:
        if aws.code_of(error) != "ExecutionDoesNotExist":
            raise
        return ""
    return str(answer["status"])


def _end(project: Project, status: str) -> bool:
    first_step = rules.STEPS[progress.kind_of(project)][0]
    step = project.step or first_step
    reasons = {
        "": "the workflow did not start in time",
        "RUNNING": "it exceeded its time limit",
        "TIMED_OUT": "it exceeded its time limit",
        "ABORTED": "the workflow was stopped from outside",
    }
    try:
        reason = reasons.get(status, "the workflow ended without a result")
        # An execution that was not there when we asked may have begun since.
        only_if = None if status else progress.row_unchanged(project, first_step)
        completion.fail(project, step, reason, only_if)
    except completion.Changed:
        return False  # it has just ended by itself, or begun
    telemetry.log.error("run ended from outside", project=project.id, step=step, found=status)
    return True


def _check_later(project: Project) -> None:
    at = min(clock.epoch_seconds() + runs.CHECK_SECONDS, int(project.limit_at))
    project.change_if(progress.current_run(project), [Project.watch_at.set(at)])
