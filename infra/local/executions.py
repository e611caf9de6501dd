"""Lambda's part in Step Functions: tasks run the app's own functions, in this process.

    arn:aws:lambda:<region>:<account>:function:<app>-<stage>-<name>   @app.lambda_function() <name>

The executions themselves are run by moto's interpreter as corrected in corrections/interpreter.py,
which also says how they wait. As with queues, a function that overstays its timeout is not killed:
the state that called it goes on without its answer.
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

if TYPE_CHECKING:  # its import costs half a second, and only a started one needs it
    from infra.local.hooks.interpreter import Invoke

LAST_TASKS_SECONDS = 5  #: given to tasks under way when their executions are stopped
LONGEST_SKIP_SECONDS = 60  #: a wait that is longer is no work for now
_log = logging.getLogger(__name__)


class ExecutionsState(TypedDict):
    running: int
    succeeded: int
    failed: int  #: also those whose time was over and those stopped from outside


def functions_of(app: Chalice, stage: str = "local") -> dict[str, Function]:
    """The functions that only their name calls, by the names that they have on Lambda."""
    return {
        f"{app.app_name}-{stage}-{function.name}": app.handler_map[function.name]
        for function in app.pure_lambda_functions
    }


class Executions:
    """The executions of a local cloud; there can be one in a process."""

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
        self._before: Invoke | None = None
        self.tasks = Activity()

    def start(self) -> None:
        """From here on tasks find their functions, and no longer those of who started before."""
        from infra.local.hooks import interpreter

        self._before = interpreter.invoke_with(self.invoke)
        if self._before is None:
            execution_registry.on_end(_tell)

    def stop(self) -> None:
        """Ends what is under way; tasks that have begun are finished first."""
        from infra.local.corrections import executions
        from infra.local.hooks import interpreter

        executions.stop_all()
        self.tasks.wait_until_none(LAST_TASKS_SECONDS)
        interpreter.invoke_with(self._before)
        if self._before is None:
            execution_registry.off_end(_tell)

    def clear(self) -> None:
        """No execution is known any more, and no task of one runs."""
        from infra.local.corrections import executions

        executions.empty_all()
        if not self.tasks.wait_until_none(LAST_TASKS_SECONDS):
            _log.error("%d tasks do not end", self.tasks.under_way)

    @property
    def begun(self) -> int:
        """How many ever began."""
        return execution_registry.begun()

    @property
    def running(self) -> int:
        return len(execution_registry.under_way())

    def state(self) -> ExecutionsState:
        ended = execution_registry.ended()
        succeeded = ended["SUCCEEDED"]
        failed = ended.total() - succeeded
        return {"running": self.running, "succeeded": succeeded, "failed": failed}

    def go_on(self) -> bool:
        """Returns when no execution has anything to do; False when none had since the last call.

        A short wait, such as a back-off, is nothing to wait for: the clock is moved to its end.
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
        """What Lambda answers to an invocation: (answer, None), or (the error, its kind)."""
        from infra.local.hooks import interpreter

        function = self._functions.get(name)
        if function is None:
            raise interpreter.unknown_function(name)
        context = LambdaContext(name, self._region, self._account, self._timeout_seconds)
        with self.tasks:
            try:
                answer = function(json.loads(json.dumps(payload)), context)
                return json.loads(json.dumps(answer)), None
            except BaseException as error:  # noqa: BLE001  # a crash ends the function, not us
                self._on_error(name, error)
                return _described(error, context), "Unhandled"


def _described(error: BaseException, context: LambdaContext) -> dict[str, Any]:
    """As Lambda's Python tells of an exception; a crash has no more than its name."""
    if not isinstance(error, Exception):
        message = f"RequestId: {context.aws_request_id} Error: {type(error).__name__}"
        return {"errorType": "Runtime.ExitError", "errorMessage": message}
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": context.aws_request_id,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def _tell(execution: Any) -> None:
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
