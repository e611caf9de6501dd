"""Step Functions: starting, stopping and ending executions as AWS does.

moto starts two executions when one name is started twice at once, gives none a name of its own,
cannot stop one that has just begun, stops one only after its task, and forgets why.
"""

import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import InvalidExecutionInput
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import (
    StepFunctionsParserBackend,
    stepfunctions_parser_backends,
)
from moto.stepfunctions.parser.utils import TMP_THREADS
from moto.stepfunctions.responses import StepFunctionResponse

from infra.local import waits
from infra.local.corrections import runs

MAX_INPUT_BYTES = 256 * 1024
_STOP_SECONDS = 10  # given to executions that are stopped
_lock = threading.RLock()
_log = logging.getLogger(__name__)


def install() -> None:
    # What fails in a task is told by whoever runs the task; moto tells it three times more.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    replacements: list[tuple[Any, str, Any]] = [
        (StepFunctionsParserBackend, "start_execution", _named(_moto_start)),
        (ExecutionWorker, "start", _start),
        (Execution, "stop", _stop),
        (StepFunctionResponse, "stop_execution", _answer_stop),
        (StepFunctionResponse, "describe_execution", _with_end(_moto_describe)),
    ]
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)


_moto_start: Callable[..., Execution] = StepFunctionsParserBackend.start_execution
_moto_describe: Callable[..., ActionResult] = StepFunctionResponse.describe_execution


def empty_all() -> None:
    """Executions under way end, and none is known any more; the machines stay."""
    stop_all()
    for account in list(stepfunctions_parser_backends.values()):
        for backend in list(account.values()):
            for machine in backend.state_machines:
                machine.executions.clear()
    runs.forget_ended()
    TMP_THREADS.clear()


def stop_all() -> None:
    """Returns when no execution is under way; what a task has begun it still finishes."""
    for execution in runs.under_way():
        execution.stop(None, None, None)
    if not waits.wait_for(lambda: not runs.under_way(), _STOP_SECONDS):
        _log.error("executions that do not end: %s", [each.name for each in runs.under_way()])


def _named(moto: Callable[..., Execution]) -> Callable[..., Execution]:
    def start_execution(
        backend: Any, arn: str, name: str | None = None, given: str | None = None, *rest: Any
    ) -> Execution:
        name = name or str(uuid.uuid4())
        backend._validate_name(name)
        if len((given or "").encode()) > MAX_INPUT_BYTES:
            raise InvalidExecutionInput("Input is longer than 262144 bytes")
        with _lock:
            return moto(backend, arn, name, given, *rest)

    return start_execution


def _start(worker: Any) -> None:
    """As moto, but all is ready before the thread runs, so that it can be stopped at once."""
    program = worker._get_evaluation_entrypoint()
    environment = worker._get_evaluation_environment()
    environment.next_state_name = program.start_at.start_at_name
    worker.env = environment
    worker._get_evaluation_environment = lambda: environment
    execution = worker._execution_communication.execution
    runs.begin(execution)
    threading.Thread(
        target=_run, args=[worker, execution], name=f"execution-{execution.name}", daemon=True
    ).start()


def _run(worker: Any, execution: Execution) -> None:
    try:
        worker._execution_logic()
    except Exception as error:  # noqa: BLE001  # a mistake of the interpreter's ends the execution, not us
        _log.exception("execution %s cannot go on", execution.name)
        execution.error, execution.cause = "States.Runtime", str(error)
        execution.exec_status = ExecutionStatus.FAILED
    finally:
        runs.end(execution)


def _stop(execution: Any, stop_date: Any, error: str | None, cause: str | None) -> None:
    """Its status says so on return; a task that runs goes on to its end, unheard."""
    with _lock:
        if execution.exec_status != ExecutionStatus.RUNNING:
            return
        execution.error, execution.cause = error or None, cause or None
        execution.exec_worker.env.set_stop(stop_date=stop_date, error=error, cause=cause)
    runs.wake_due()
    waits.wait_for(lambda: execution.exec_status != ExecutionStatus.RUNNING, _STOP_SECONDS)


def _answer_stop(handler: StepFunctionResponse) -> ActionResult:
    execution = handler.stepfunction_backend.describe_execution(handler._get_param("executionArn"))
    execution.stop(None, handler._get_param("error"), handler._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


def _with_end(moto: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    """What moto tells, and the end of those whose time was over, too."""

    def describe_execution(handler: StepFunctionResponse) -> ActionResult:
        answer: Any = moto(handler)
        execution = handler.stepfunction_backend.describe_execution(
            handler._get_param("executionArn")
        )
        if execution.stop_date is not None:
            answer.result["stopDate"] = execution.stop_date
        return answer  # type: ignore[no-any-return]  # it is moto's own

    return describe_execution
