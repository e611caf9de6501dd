"""The reconciler: ends runs whose execution has died, or that are past their limit.

A run ends itself; this is for those that cannot: an execution that was stopped from outside, that
timed out (then nothing of it runs any more), or that was never started.
"""

from pynamodb.exceptions import PynamoDBException, UpdateError

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.store import failures
from chalicelib.projects import models, rules
from chalicelib.projects.models import Project
from chalicelib.projects.workflow import completion, progress, runs

_ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


def reconcile() -> int:
    """Looks at every run whose time for it has come; how many it ended. Safe to run twice."""
    ended = late = 0
    for tenant_id, project_id in list(models.to_look_at(clock.epoch_seconds())):
        try:
            project = models.get_project(tenant_id, project_id)
            if project is None or not project.is_running:
                continue
            late += _is_over(project)
            ended += _look(project)
        except (AppError, *aws.CALL_FAILED, PynamoDBException) as error:
            # The next look is a minute away, and the others must not wait for this one.
            word = type(error).__name__
            telemetry.log.warning("not looked at", project=project_id, error=word)
    telemetry.emit({"runs_over_limit": late, "runs_ended_from_outside": ended})
    return ended


def _is_over(project: Project) -> bool:
    return bool(project.limit_at <= clock.epoch_seconds())


def _look(project: Project) -> bool:
    """True when the run was ended."""
    arn = runs.machine_arn().replace(":stateMachine:", ":execution:")
    arn = f"{arn}:{runs.execution_name(project)}"
    status = _status_of(arn)
    if not _is_over(project) and status not in _ENDED:
        _look_again(project)
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
    step = project.step or rules.STEPS[progress.kind_of(project)][0]
    told = {
        "": "the workflow did not start in time",
        "RUNNING": "it took longer than it may",
        "TIMED_OUT": "it took longer than it may",
        "ABORTED": "the workflow was stopped from outside",
    }
    try:
        completion.fail(project, step, told.get(status, "the workflow ended without a result"))
    except completion.Changed:
        return False  # it has just ended by itself
    telemetry.log.error("run ended from outside", project=project.id, step=step, found=status)
    return True


def _look_again(project: Project) -> None:
    at = min(clock.epoch_seconds() + runs.LOOK_SECONDS, int(project.limit_at))
    try:
        project.update([Project.watch_at.set(at)], progress.mine(project))
    except UpdateError as error:
        if not failures.condition_failed(error):
            raise
