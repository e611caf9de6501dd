"""Step Functions: state machines run by the local clock and call the app's own functions.

Left alone, moto would wait in real time and call Lambda through a client. The items of a Map run in
one thread each, so that execution_registry.py can count how many are busy; moto takes three.
"""

import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped, unused-ignore]
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import (
    MaxAttemptsOutcome,
)
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
    inline_iteration_component as inline,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import JobPool
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped

from infra.local import clock, execution_registry, waits
from infra.local.patching import replace_all

#: Runs the function of that name with a payload; returns (answer, None) or (error, its kind).
Invoke = Callable[[str, Any], tuple[Any, str | None]]

_invoke: Invoke | None = None


def install() -> None:
    replace_all(
        [
            (lambda_eval_utils, "_invoke_lambda_function", _invoke_function),
            # For the TimeoutSeconds of a task.
            (execute_state, "threading", SimpleNamespace(Event=waits.Event)),
            (Program, "eval", _eval_program),
            (WaitFunction, "_wait_interval", _wait),
            (retrier_decl.RetrierDecl, "_eval_body", _retry),
            (inline.InlineIterationComponent, "_launch_worker", _launch_worker),
            (JobPool, "await_jobs", _await_jobs),
            (JobPool, "_notify_on_termination", _notify_termination),
        ]
    )


def invoke_with(invoke: Invoke | None) -> Invoke | None:
    """Sets what runs the functions of tasks and returns what did before; None knows no function."""
    global _invoke  # a process has one Lambda
    before, _invoke = _invoke, invoke
    return before


def _invoke_function(parameters: dict[str, Any], **_: Any) -> dict[str, Any]:
    name = parameters["FunctionName"].split(":function:")[-1].partition(":")[0]
    if _invoke is None:
        raise unknown_function(name)
    payload, error = _invoke(name, json.loads(parameters["Payload"]))
    answer = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": payload}
    return answer if error is None else {**answer, "FunctionError": error}


def unknown_function(name: str) -> Exception:
    """Lambda's error for the invocation of a function that does not exist."""
    details = {"Code": "ResourceNotFoundException", "Message": f"Function not found: {name}"}
    error: Exception = ClientError({"Error": details}, "Invoke")
    return error


def _eval_program(program: Program, environment: Environment) -> None:
    """Runs a machine until it ends, is stopped or times out; an item of a Map, in this thread."""
    if environment._program_state is None or environment.is_running():
        environment.next_state_name = program.start_at.start_at_name
    if environment.is_frame():
        EvalComponent.eval(program, environment)
        return
    began, ended = clock.monotonic(), waits.Event()

    def evaluate() -> None:
        try:
            EvalComponent.eval(program, environment)
        finally:
            ended.set()

    threading.Thread(target=evaluate, daemon=True).start()
    limit = program.timeout_seconds
    seconds = float(limit.timeout_seconds) if limit else threading.TIMEOUT_MAX
    waits.wait_for(lambda: ended.is_set() or _is_stopped(environment), seconds, began)
    with environment._state_mutex:
        if environment.is_running():
            environment.set_timed_out()
    execution_registry.wake_due()


def _is_stopped(environment: Environment) -> bool:
    return isinstance(environment._program_state, ProgramStopped)


def _wait(_: WaitFunction, env: Environment, wait_seconds: float) -> None:
    execution_registry.sleep(env, wait_seconds)


def _retry(retrier: Any, env: Environment) -> None:
    """The same as moto's, except for the sleep."""
    retrier.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    retrier.max_attempts.eval(env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    for parameter in (
        retrier.interval_seconds,
        retrier.backoff_rate,
        retrier.max_delay_seconds,
        retrier.jitter_strategy,
    ):
        parameter.eval(env)
    execution_registry.sleep(env, env.stack.pop())
    env.stack.append(RetrierOutcome.Executed)


# A Map: the thread that waits for the items is not busy, the items' threads are. The last item
# counts the waiting thread as busy again before its own thread stops being busy.


def _launch_worker(
    component: inline.InlineIterationComponent, env: Environment, eval_input: Any, job_pool: JobPool
) -> Any:
    pool: Any = job_pool  # gets an additional attribute
    pool.arn = arn = execution_registry.arn_of(env)
    execution_registry.count_busy(arn, +1)
    worker = component._create_worker(env=env, eval_input=eval_input, job_pool=job_pool)

    def work() -> None:
        try:
            worker.eval()
        finally:
            execution_registry.count_busy(arn, -1)

    threading.Thread(target=work, daemon=True).start()
    return worker


def _await_jobs(pool: Any) -> None:
    if pool._jobs_number:
        execution_registry.count_busy(pool.arn, -1)
        pool._termination_event.wait()


def _notify_termination(pool: Any) -> None:
    if pool._is_terminated():
        execution_registry.count_busy(pool.arn, +1)
        pool._termination_event.set()
