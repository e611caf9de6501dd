"""Step Functions: starting, stopping and describing executions.

moto calls an execution without a name "None", starts two executions when one name is started twice
at the same time, cannot stop one that has just begun, stops one only after its task has ended, does
not store the error and the cause of a stop, and shows no end of an execution that timed out.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
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

from infra.local import execution_registry, waits
from infra.local.patching import replace_all, wrap_all

MAX_INPUT_BYTES = 256 * 1024
_STOP_SECONDS = 10  # that a stopped execution has to end
_lock = threading.RLock()
_log = logging.getLogger(__name__)


def install() -> None:
    # A failure in a task is logged by what runs the task; moto would log it three more times.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    wrap_all(
        [
            (StepFunctionsParserBackend, "start_execution", _named),
            (StepFunctionResponse, "describe_execution", _with_end),
        ]
    )
    replace_all(
        [
            (ExecutionWorker, "start", _start),
            (Execution, "stop", _stop),
            (StepFunctionResponse, "stop_execution", _answer_stop),
        ]
    )


def empty_all() -> None:
    """Stops and forgets all executions; the state machines stay."""
    stop_all()
    for account in list(stepfunctions_parser_backends.values()):
        for backend in list(account.values()):
            for machine in backend.state_machines:
                machine.executions.clear()
    execution_registry.forget_ended()
    TMP_THREADS.clear()


def stop_all() -> None:
    """Stops all executions and returns when none runs; tasks under way finish on their own."""
    for execution in execution_registry.under_way():
        execution.stop(None, None, None)
    if not waits.wait_for(lambda: not execution_registry.under_way(), _STOP_SECONDS):
        names = [execution.name for execution in execution_registry.under_way()]
        _log.error("executions that do not end: %s", names)


def _named(moto: Callable[..., Execution]) -> Callable[..., Execution]:
    def start_execution(
        backend: Any, arn: str, name: str | None = None, text: str | None = None, *rest: Any
    ) -> Execution:
        name = name or str(uuid.uuid4())
        backend._validate_name(name)
        if len((text or "").encode()) > MAX_INPUT_BYTES:
            raise InvalidExecutionInput("Input is longer than 262144 bytes")
        with _lock:
            return moto(backend, arn, name, text, *rest)

    return start_execution


def _start(worker: Any) -> None:
    """The same as moto's, but complete before the thread runs, so that it can be stopped then."""
    program = worker._get_evaluation_entrypoint()
    environment = worker._get_evaluation_environment()
    environment.next_state_name = program.start_at.start_at_name
    worker.env = environment
    worker._get_evaluation_environment = lambda: environment
    execution = worker._execution_communication.execution
    execution_registry.begin(execution)
    threading.Thread(
        target=_run, args=[worker, execution], name=f"execution-{execution.name}", daemon=True
    ).start()


def _run(worker: Any, execution: Execution) -> None:
    try:
        worker._execution_logic()
    except Exception as error:  # noqa: BLE001  # an interpreter's bug ends the execution, not us
        _log.exception("execution %s cannot go on", execution.name)
        execution.error, execution.cause = "States.Runtime", str(error)
        execution.exec_status = ExecutionStatus.FAILED
    finally:
        execution_registry.end(execution)


def _stop(execution: Any, stop_date: Any, error: str | None, cause: str | None) -> None:
    """Returns when its status is final; a running task continues, and its result is ignored."""
    with _lock:
        if execution.exec_status != ExecutionStatus.RUNNING:
            return
        execution.error, execution.cause = error or None, cause or None
        execution.exec_worker.env.set_stop(stop_date=stop_date, error=error, cause=cause)
    execution_registry.wake_due()
    waits.wait_for(lambda: execution.exec_status != ExecutionStatus.RUNNING, _STOP_SECONDS)


def _answer_stop(handler: StepFunctionResponse) -> ActionResult:
    execution = handler.stepfunction_backend.describe_execution(handler._get_param("executionArn"))
    execution.stop(None, handler._get_param("error"), handler._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date})


def _with_end(moto: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    """Adds the end of executions that timed out, which moto leaves out."""

    def describe_execution(handler: StepFunctionResponse) -> ActionResult:
        answer: Any = moto(handler)
        execution = handler.stepfunction_backend.describe_execution(
            handler._get_param("executionArn")
        )
        if execution.stop_date is not None:
            answer.result["stopDate"] = execution.stop_date
        return answer  # type: ignore[no-any-return]  # it is moto's own

    return describe_execution
