"""State machines: tasks run the app's functions, and all waiting follows the local clock."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session
from chalice.app import Chalice

from infra.local import clock, faults
from infra.local.faults import Fault
from infra.local.states import Executions, functions_of

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

        self.client = self.session.create_client(
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

    def start(self, machine: str, name: str = "one", given: Any = None) -> str:
        answer = self.client.start_execution(
            stateMachineArn=machine, name=name, input=json.dumps({} if given is None else given)
        )
        return str(answer["executionArn"])

    def finish(self) -> None:
        while self.executions.go_on():
            pass

    def end_of(self, execution: str) -> Any:
        self.finish()
        return self.client.describe_execution(executionArn=execution)

    def events_of(self, execution: str) -> list[str]:
        found = self.client.get_execution_history(executionArn=execution)
        return [event["type"] for event in found["events"]]


@pytest.fixture
def stage(session: Session) -> Iterator[Stage]:
    stage = Stage(session)
    stage.executions.start()
    yield stage
    clock.stop()
    stage.executions.clear()
    stage.executions.stop()
    faults.clear()


def task(**more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": FUNCTION, "End": True, **more}


def retried(seconds: int, times: int, **more: Any) -> dict[str, Any]:
    rule = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": seconds, "MaxAttempts": times}
    return task(Retry=[{**rule, **more}])


class Held:
    """An answer that comes only once it is let go."""

    def __init__(self) -> None:
        self.asked, self._gone = threading.Semaphore(0), threading.Event()

    def __call__(self, event: dict[str, Any]) -> Any:
        self.asked.release()
        assert self._gone.wait(PATIENCE)
        return event

    def wait(self) -> None:
        assert self.asked.acquire(timeout=PATIENCE)

    def let_go(self) -> None:
        self._gone.set()


@pytest.fixture
def held(stage: Stage) -> Iterator[Held]:
    stage.answer = held = Held()
    yield held
    held.let_go()


# Tasks -------------------------------------------------------------------------------------------


def test_a_task_runs_the_apps_function_with_event_and_context(stage: Stage) -> None:
    stage.answer = lambda event: {"packed": event["parcels"]}
    execution = stage.start(stage.machine("m", {"pack": task()}), given={"parcels": 3})

    ended = stage.end_of(execution)

    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"packed": 3})
    assert stage.events == [{"parcels": 3}]


def test_what_a_function_raises_can_be_caught_with_its_message(stage: Stage) -> None:
    def refuse(event: dict[str, Any]) -> Any:
        raise ValueError("no boxes")

    stage.answer = refuse
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "sorry"}]
    states = {"pack": task(Catch=catch), "sorry": {"Type": "Pass", "End": True}}
    ended = stage.end_of(stage.start(stage.machine("m", states)))

    error = json.loads(ended["output"])["error"]
    assert (ended["status"], error["Error"]) == ("SUCCEEDED", "ValueError")
    assert json.loads(error["Cause"])["errorMessage"] == "no boxes"
    assert [str(error) for error in stage.errors] == ["no boxes"]


def test_a_function_that_ends_its_process_fails_the_task_only(stage: Stage) -> None:
    def crash(event: dict[str, Any]) -> Any:
        raise SystemExit(1)

    stage.answer = crash
    ended = stage.end_of(stage.start(stage.machine("m", {"pack": task()})))

    assert (ended["status"], ended["error"]) == ("FAILED", "Runtime.ExitError")


def test_an_unknown_function_fails_the_task(stage: Stage) -> None:
    unknown = task(Resource=FUNCTION.replace("pack", "unpack"))
    ended = stage.end_of(stage.start(stage.machine("m", {"pack": unknown})))

    assert ended["status"] == "FAILED"
    assert "shop-local-unpack" in ended["cause"]


def test_an_answer_that_is_no_json_fails_the_task(stage: Stage) -> None:
    stage.answer = lambda event: {1, 2}
    ended = stage.end_of(stage.start(stage.machine("m", {"pack": task()})))

    assert (ended["status"], ended["error"]) == ("FAILED", "TypeError")


def test_a_map_works_its_items_side_by_side_up_to_its_bound(stage: Stage, held: Held) -> None:
    items = {"ItemProcessor": {"StartAt": "pack", "States": {"pack": task()}}}
    states = {"all": {"Type": "Map", "MaxConcurrency": 5, "End": True, **items}}
    execution = stage.start(stage.machine("m", states), given=list(range(12)))
    for _ in range(5):
        held.wait()

    assert stage.executions.tasks.under_way == 5
    held.let_go()
    assert json.loads(stage.end_of(execution)["output"]) == list(range(12))


def test_an_empty_map_ends(stage: Stage) -> None:
    items = {"ItemProcessor": {"StartAt": "pack", "States": {"pack": task()}}}
    execution = stage.start(
        stage.machine("m", {"all": {"Type": "Map", "End": True, **items}}), given=[]
    )

    assert json.loads(stage.end_of(execution)["output"]) == []


def test_many_executions_of_one_machine_do_not_disturb_each_other(stage: Stage) -> None:
    machine = stage.machine("m", {"pack": retried(1, 2)})
    seen: set[int] = set()

    def fail_once(event: dict[str, Any]) -> Any:
        if event["number"] not in seen:
            seen.add(event["number"])
            raise TimeoutError
        return event

    stage.answer = fail_once
    started = [stage.start(machine, f"run-{n}", {"number": n}) for n in range(20)]

    ends = [stage.end_of(execution) for execution in started]
    assert [json.loads(end["output"])["number"] for end in ends] == list(range(20))


# Time --------------------------------------------------------------------------------------------


def test_a_retry_waits_by_the_local_clock_and_counts(stage: Stage) -> None:
    def fail_twice(event: dict[str, Any]) -> Any:
        times.append(clock.monotonic())
        if event["retry"] < 2:
            raise TimeoutError
        return event

    times: list[float] = []
    stage.answer = fail_twice
    state = retried(20, 2, BackoffRate=2) | {"Parameters": {"retry.$": "$$.State.RetryCount"}}
    ended = stage.end_of(stage.start(stage.machine("m", {"pack": state})))

    assert ended["status"] == "SUCCEEDED"
    assert [event["retry"] for event in stage.events] == [0, 1, 2]
    assert [round(b - a) for a, b in pairwise(times)] == [20, 40]


def test_tries_end(stage: Stage) -> None:
    def fail(event: dict[str, Any]) -> Any:
        raise TimeoutError

    stage.answer = fail
    ended = stage.end_of(
        stage.start(stage.machine("m", {"pack": retried(2, 2, JitterStrategy="FULL")}))
    )

    assert (ended["status"], len(stage.events)) == ("FAILED", 3)


def test_a_jump_of_the_clock_ends_a_wait(stage: Stage) -> None:
    states = {"wait": {"Type": "Wait", "Seconds": 3600, "Next": "pack"}, "pack": task()}
    execution = stage.start(stage.machine("m", states))
    stage.finish()
    assert stage.client.describe_execution(executionArn=execution)["status"] == "RUNNING"

    clock.advance(3600)

    assert stage.end_of(execution)["status"] == "SUCCEEDED"


def test_a_machines_time_is_over_by_the_local_clock(stage: Stage, held: Held) -> None:
    execution = stage.start(stage.machine("m", {"pack": task()}, TimeoutSeconds=300))
    held.wait()

    clock.advance(301)

    ended = stage.end_of(execution)
    assert (ended["status"], "stopDate" in ended) == ("TIMED_OUT", True)


def test_a_machine_whose_time_is_over_begins_no_other_item_of_a_map(
    stage: Stage, held: Held
) -> None:
    items = {"ItemProcessor": {"StartAt": "pack", "States": {"pack": task()}}}
    states = {"all": {"Type": "Map", "MaxConcurrency": 2, "End": True, **items}}
    execution = stage.start(stage.machine("m", states, TimeoutSeconds=300), given=list(range(9)))
    held.wait()
    held.wait()

    clock.advance(301)
    assert stage.end_of(execution)["status"] == "TIMED_OUT"
    held.let_go()
    assert stage.executions.tasks.wait_until_none(PATIENCE)
    stage.executions.clear()
    assert len(stage.events) == 2


def test_a_tasks_time_is_over_by_the_local_clock_and_is_an_error_like_another(
    stage: Stage, held: Held
) -> None:
    state = retried(1, 1) | {"TimeoutSeconds": 60}
    execution = stage.start(stage.machine("m", {"pack": state}))
    for _ in range(2):
        held.wait()
        clock.advance(61)
        stage.executions.go_on()

    ended = stage.end_of(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert stage.events_of(execution).count("LambdaFunctionTimedOut") == 2


# Names and ends ----------------------------------------------------------------------------------


def test_the_same_start_again_is_the_same_execution_while_it_runs(stage: Stage, held: Held) -> None:
    machine = stage.machine("m", {"pack": task()})
    first = stage.start(machine, "one", {"n": 1})
    held.wait()

    assert stage.start(machine, "one", {"n": 1}) == first
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        stage.start(machine, "one", {"n": 2})
    held.let_go()
    stage.finish()
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        stage.start(machine, "one", {"n": 1})
    assert len(stage.events) == 1


def test_one_name_started_ten_times_at_once_is_one_execution(stage: Stage, held: Held) -> None:
    machine = stage.machine("m", {"pack": task()})
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(stage.start(machine))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    held.let_go()
    stage.finish()

    assert (len(found), len(set(found)), len(stage.events)) == (10, 1, 1)


def test_an_execution_without_a_name_gets_one_and_a_name_has_its_bounds(stage: Stage) -> None:
    machine = stage.machine("m", {"pack": task()})
    names = {
        stage.client.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(3)
    }

    assert len(names) == 3
    with pytest.raises(ClientError, match="InvalidName"):
        stage.start(machine, "a b")
    with pytest.raises(ClientError, match="InvalidExecutionInput"):
        stage.start(machine, "large", "x" * 262_144)


def test_a_stopped_execution_is_aborted_at_once_and_says_why(stage: Stage, held: Held) -> None:
    states = {"pack": {**task(), "Next": "again"}, "again": task()}
    del states["pack"]["End"]
    execution = stage.start(stage.machine("m", states))
    held.wait()

    stage.client.stop_execution(executionArn=execution, error="Enough", cause="closing time")

    ended = stage.client.describe_execution(executionArn=execution)
    assert (ended["status"], ended["error"], ended["cause"]) == (
        "ABORTED",
        "Enough",
        "closing time",
    )
    held.let_go()
    stage.finish()
    stage.executions.clear()
    assert len(stage.events) == 1


def test_an_execution_is_stopped_in_a_wait_and_in_a_back_off(stage: Stage) -> None:
    def fail(event: dict[str, Any]) -> Any:
        raise TimeoutError

    stage.answer = fail
    waiting = stage.start(
        stage.machine("w", {"wait": {"Type": "Wait", "Seconds": 9_000_000, "End": True}})
    )
    backing = stage.start(stage.machine("b", {"pack": retried(9000, 2)}))
    stage.executions.go_on()
    for execution in (waiting, backing):
        stage.client.stop_execution(executionArn=execution)
        assert stage.end_of(execution)["status"] == "ABORTED"
    assert stage.executions.running == 0


def test_a_definition_with_a_mistake_is_refused(stage: Stage) -> None:
    with pytest.raises(ClientError, match="Resuorce"):
        stage.machine("m", {"pack": {"Type": "Task", "Resuorce": FUNCTION}})


# Faults, state, reset ----------------------------------------------------------------------------


def test_a_refused_start_starts_nothing_and_a_lost_answer_has_started_it(stage: Stage) -> None:
    machine = stage.machine("m", {"pack": task()})
    faults.add(Fault("states", "StartExecution", "refuse"))
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        stage.start(machine)
    stage.finish()
    assert stage.events == []

    faults.add(Fault("states", "StartExecution", "lose_answer"))
    with pytest.raises(Exception, match="Read timeout"):
        stage.start(machine)
    stage.finish()
    assert len(stage.events) == 1


def test_the_state_counts_what_runs_and_how_it_ended(stage: Stage, held: Held) -> None:
    machine = stage.machine("m", {"pack": task()})
    stage.start(machine, "good")
    stopped = stage.start(machine, "bad")
    held.wait()
    assert stage.executions.state() == {"running": 2, "succeeded": 0, "failed": 0}

    stage.client.stop_execution(executionArn=stopped)
    held.let_go()
    stage.finish()

    assert stage.executions.state() == {"running": 0, "succeeded": 1, "failed": 1}


def test_emptying_the_cloud_ends_and_forgets_executions(stage: Stage, held: Held) -> None:
    machine = stage.machine("m", {"pack": task(), "never": task()})
    execution = stage.start(machine)
    held.wait()
    held.let_go()

    stage.executions.clear()

    assert stage.executions.state() == {"running": 0, "succeeded": 0, "failed": 0}
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        stage.client.describe_execution(executionArn=execution)
    stage.answer = lambda event: event
    assert stage.end_of(stage.start(machine))["status"] == "SUCCEEDED"


def test_each_end_is_one_line(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "infra.local.states")
    stage.start(stage.machine("packing", {"pack": task()}), "p1-1")
    stage.finish()

    (line,) = [record for record in caplog.records if record.getMessage() == "execution"]
    facts = vars(line)
    assert (facts["machine"], facts["execution"], facts["outcome"]) == (
        "packing",
        "p1-1",
        "succeeded",
    )


def test_a_machine_that_loops_for_a_long_time_keeps_its_history_in_order(stage: Stage) -> None:
    choices = [{"Variable": "$.n", "NumericGreaterThan": 0, "Next": "pack"}]
    states = {
        "pack": {"Type": "Task", "Resource": FUNCTION, "Next": "more"},
        "more": {"Type": "Choice", "Choices": choices, "Default": "done"},
        "done": {"Type": "Succeed"},
    }
    stage.answer = lambda event: {"n": event["n"] - 1}
    execution = stage.start(stage.machine("m", states), given={"n": 30})

    assert stage.end_of(execution)["status"] == "SUCCEEDED"
    assert stage.events_of(execution).count("LambdaFunctionSucceeded") == 30
