"""A small stage for state machines: one function whose answer a test decides."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from boto3 import Session
from botocore.config import Config
from chalice.app import Chalice

from infra.local.executions import Executions, functions_of

PATIENCE = 10
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:shop-local-pack"
Answer = Callable[[dict[str, Any]], Any]


@dataclass
class Stage:
    """One function, `pack`, whose answer a test decides, and machines that call it."""

    session: Session
    answer: Answer = lambda event: event
    events: list[dict[str, Any]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        app = Chalice("shop")

        @app.lambda_function()
        def pack(event: dict[str, Any], context: Any) -> Any:
            self.events.append(event)
            assert 0 < context.get_remaining_time_in_millis() <= 60_000
            return self.answer(event)

        self.client = self.session.client(
            "stepfunctions", config=Config(retries={"total_max_attempts": 1})
        )
        self.executions = Executions(
            functions_of(app), on_error=lambda name, error: self.errors.append(error)
        )

    def machine(self, name: str, states: dict[str, Any], **more: Any) -> str:
        definition = {"StartAt": next(iter(states)), "States": states, **more}
        answer = self.client.create_state_machine(
            name=name,
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::123456789012:role/machine",
        )
        return str(answer["stateMachineArn"])

    def start(self, machine: str, name: str = "one", data: Any = None) -> str:
        answer = self.client.start_execution(
            stateMachineArn=machine, name=name, input=json.dumps({} if data is None else data)
        )
        return str(answer["executionArn"])

    def finish(self) -> None:
        while self.executions.advance():
            pass

    def end_of(self, execution: str) -> Any:
        self.finish()
        return self.client.describe_execution(executionArn=execution)

    def events_of(self, execution: str) -> list[str]:
        history = self.client.get_execution_history(executionArn=execution)
        return [event["type"] for event in history["events"]]


def task(**more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": FUNCTION, "End": True, **more}


def retried(seconds: int, times: int, **more: Any) -> dict[str, Any]:
    rule = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": seconds, "MaxAttempts": times}
    return task(Retry=[{**rule, **more}])


class Held:
    """An answer that is held back until it is released."""

    def __init__(self) -> None:
        self.asked, self._gone = threading.Semaphore(0), threading.Event()

    def __call__(self, event: dict[str, Any]) -> Any:
        self.asked.release()
        assert self._gone.wait(PATIENCE)
        return event

    def wait(self) -> None:
        assert self.asked.acquire(timeout=PATIENCE)

    def release(self) -> None:
        self._gone.set()
