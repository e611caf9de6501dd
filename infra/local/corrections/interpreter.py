"""Step Functions: the states of a machine, on the local clock and with the app's own functions.

moto waits in real time, whatever the clock says, starts three threads for each item of a Map,
reads a definition anew for each execution, and asks Lambda through a client made for the call.
"""

import json
import threading
from collections.abc import Callable
from functools import lru_cache
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
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from infra.local import clock, waits
from infra.local.corrections import runs

#: Runs the function of that name on a payload: (its answer, None) or (the error's, its kind).
Invoke = Callable[[str, Any], tuple[Any, str | None]]

_invoke: Invoke | None = None


def install() -> None:
    replacements: list[tuple[Any, str, Any]] = [
        (AmazonStateLanguageParser, "parse", staticmethod(lru_cache(_moto_parse))),
        (lambda_eval_utils, "_invoke_lambda_function", _invoke_function),
        # A task's TimeoutSeconds.
        (execute_state, "threading", SimpleNamespace(Event=waits.Event)),
        (Program, "eval", _eval_program),
        (WaitFunction, "_wait_interval", _wait),
        (retrier_decl.RetrierDecl, "_eval_body", _retry),
        (inline.InlineIterationComponent, "_launch_worker", _launch_worker),
        (JobPool, "await_jobs", _await_jobs),
        (JobPool, "_notify_on_termination", _tell_termination),
    ]
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)


_moto_parse: Callable[[str], Any] = AmazonStateLanguageParser.parse


def invoke_with(invoke: Invoke | None) -> Invoke | None:
    """Who runs the functions that tasks name, and who did before; None: each is unknown."""
    global _invoke  # there is one Lambda in a process
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
    """What Lambda answers to an invocation of a function that is not there."""
    details = {"Code": "ResourceNotFoundException", "Message": f"Function not found: {name}"}
    error: Exception = ClientError({"Error": details}, "Invoke")
    return error


def _eval_program(program: Program, environment: Environment) -> None:
    """A machine until its end, its stop or its time; an item of a Map in the caller's thread."""
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
    runs.wake_due()


def _is_stopped(environment: Environment) -> bool:
    return isinstance(environment._program_state, ProgramStopped)


def _wait(_: WaitFunction, env: Environment, wait_seconds: float) -> None:
    runs.sleep(env, wait_seconds)


def _retry(retrier: Any, env: Environment) -> None:
    """As moto, but for the sleep."""
    retrier.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    retrier.max_attempts.eval(env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    for figure in (
        retrier.interval_seconds,
        retrier.backoff_rate,
        retrier.max_delay_seconds,
        retrier.jitter_strategy,
    ):
        figure.eval(env)
    runs.sleep(env, env.stack.pop())
    env.stack.append(RetrierOutcome.Executed)


# A Map: the thread that waits for the items is not busy, those that work on items are. The last
# item makes the one that waits busy again, before its own thread stops being so.


def _launch_worker(
    component: inline.InlineIterationComponent, env: Environment, eval_input: Any, job_pool: JobPool
) -> Any:
    pool: Any = job_pool  # which gets an attribute more
    pool.arn = arn = runs.arn_of(env)
    runs.count_busy(arn, +1)
    worker = component._create_worker(env=env, eval_input=eval_input, job_pool=job_pool)

    def work() -> None:
        try:
            worker.eval()
        finally:
            runs.count_busy(arn, -1)

    threading.Thread(target=work, daemon=True).start()
    return worker


def _await_jobs(pool: Any) -> None:
    if pool._jobs_number:
        runs.count_busy(pool.arn, -1)
        pool._termination_event.wait()


def _tell_termination(pool: Any) -> None:
    if pool._is_terminated():
        runs.count_busy(pool.arn, +1)
        pool._termination_event.set()
