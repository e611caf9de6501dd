"""The executions of state machines, whose tasks call the app's own functions in this process.

    arn:aws:lambda:<region>:<account>:function:<app>-<stage>-<name>   @app.lambda_function() <name>

moto's interpreter runs them, patched by hooks/interpreter.py and corrections/executions.py. As with
queues, a function that exceeds its timeout is not killed: the state that called it continues
without its answer.
"""

import json
import logging
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from chalice.app import Chalice

from infra.local import clock, execution_registry, log
from infra.local.activity import Activity
from infra.local.mapping import FUNCTION_TIMEOUT_SECONDS, Function, LambdaContext, OnError

if TYPE_CHECKING:  # its import takes half a second, and only `start` needs it
    from infra.local.hooks.interpreter import Invoke

LAST_TASKS_SECONDS = 5  #: that tasks have to end when their executions are stopped
LONGEST_SKIP_SECONDS = 60  #: a longer wait does not count as work
_log = logging.getLogger(__name__)


class ExecutionsState(TypedDict):
    running: int
    succeeded: int
    failed: int  #: also those that timed out or were stopped


def functions_of(app: Chalice, stage: str = "local") -> dict[str, Function]:
    """The functions of @app.lambda_function(), by their names on Lambda."""
    return {
        f"{app.app_name}-{stage}-{function.name}": app.handler_map[function.name]
        for function in app.pure_lambda_functions
    }


class Executions:
    """The executions of a local cloud; a process can have one."""

    def __init__(
        self,
        functions: Mapping[str, Function],
        *,
        region: str = "eu-central-1",
        account: str = "123456789012",
        function_timeout_seconds: int = FUNCTION_TIMEOUT_SECONDS,
        on_error: OnError = log.failure,
    ) -> None:
        self._functions = functions
        self._region = region
        self._account = account
        self._timeout_seconds = function_timeout_seconds
        self._on_error = on_error
        self._seen = execution_registry.begun()
        self._previous: Invoke | None = None
        self.tasks = Activity()

    def start(self) -> None:
        """From here on tasks call these functions, instead of those of an earlier start."""
        from infra.local.hooks import interpreter

        self._previous = interpreter.invoke_with(self.invoke)
        if self._previous is None:
            execution_registry.on_end(_log_end)

    def stop(self) -> None:
        """Stops all executions; tasks that have begun end first."""
        from infra.local.corrections import executions
        from infra.local.hooks import interpreter

        executions.stop_all()
        self.tasks.wait_until_none(LAST_TASKS_SECONDS)
        interpreter.invoke_with(self._previous)
        if self._previous is None:
            execution_registry.off_end(_log_end)

    def clear(self) -> None:
        """Stops and forgets all executions, and waits for their tasks."""
        from infra.local.corrections import executions

        executions.empty_all()
        if not self.tasks.wait_until_none(LAST_TASKS_SECONDS):
            _log.error("%d tasks do not end", self.tasks.under_way)

    @property
    def begun(self) -> int:
        """How many executions have begun so far."""
        return execution_registry.begun()

    @property
    def running(self) -> int:
        return len(execution_registry.under_way())

    def state(self) -> ExecutionsState:
        ended = execution_registry.ended()
        succeeded = ended["SUCCEEDED"]
        failed = ended.total() - succeeded
        return {"running": self.running, "succeeded": succeeded, "failed": failed}

    def advance(self) -> bool:
        """Waits until all executions rest; returns False if none has run since the last call.

        If they rest until a near time, such as the end of a back-off, moves the clock there.
        """
        begun, seen = self.begun, self._seen
        if begun == seen and not self.running:
            return False
        self._seen = begun
        seconds = execution_registry.rest()
        if seconds is None:
            return True
        if seconds > LONGEST_SKIP_SECONDS:
            return False
        clock.advance(seconds)
        return True

    def invoke(self, name: str, payload: Any) -> tuple[Any, str | None]:
        """Invokes a function as Lambda does; returns (answer, None) or (error, its kind)."""
        from infra.local.hooks import interpreter

        function = self._functions.get(name)
        if function is None:
            raise interpreter.unknown_function(name)
        context = LambdaContext(name, self._region, self._account, self._timeout_seconds)
        with self.tasks:
            try:
                answer = function(json.loads(json.dumps(payload)), context)
                return json.loads(json.dumps(answer)), None
            except BaseException as error:  # noqa: BLE001  # a crash ends the function only
                self._on_error(name, error)
                return _error_payload(error, context), "Unhandled"


def _error_payload(error: BaseException, context: LambdaContext) -> dict[str, Any]:
    """An exception as Lambda's Python runtime reports it; a crash has a name only."""
    if not isinstance(error, Exception):
        message = f"RequestId: {context.aws_request_id} Error: {type(error).__name__}"
        return {"errorType": "Runtime.ExitError", "errorMessage": message}
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": context.aws_request_id,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def _log_end(execution: Any) -> None:
    took = execution.stop_date - execution.start_date if execution.stop_date else None
    _log.info(
        "execution",
        extra={
            "machine": execution.state_machine.name,
            "execution": execution.name,
            "outcome": execution.status.lower().replace("_", " "),
            "ms": round(took.total_seconds() * 1000, 1) if took else 0.0,
        },
    )
