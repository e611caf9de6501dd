"""Executions by name: started once, stopped, counted, forgotten."""

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import faults
from infra.local.faults import Fault
from tests.local_cloud.stage import FUNCTION, PATIENCE, Held, Stage, retried, task


def test_the_same_start_again_is_the_same_execution_while_it_runs(stage: Stage, held: Held) -> None:
    machine = stage.machine("m", {"pack": task()})
    first = stage.start(machine, "one", {"n": 1})
    held.wait()

    assert stage.start(machine, "one", {"n": 1}) == first
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        stage.start(machine, "one", {"n": 2})
    held.release()
    stage.finish()
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        stage.start(machine, "one", {"n": 1})
    assert len(stage.events) == 1


def test_one_name_started_ten_times_at_once_is_one_execution(stage: Stage, held: Held) -> None:
    machine = stage.machine("m", {"pack": task()})
    arns: list[str] = []
    threads = [
        threading.Thread(target=lambda: arns.append(stage.start(machine))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    held.release()
    stage.finish()

    assert (len(arns), len(set(arns)), len(stage.events)) == (10, 1, 1)


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
    held.release()
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
    stage.executions.advance()
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
    held.release()
    stage.finish()

    assert stage.executions.state() == {"running": 0, "succeeded": 1, "failed": 1}


def test_emptying_the_cloud_ends_and_forgets_executions(stage: Stage, held: Held) -> None:
    machine = stage.machine("m", {"pack": task(), "never": task()})
    execution = stage.start(machine)
    held.wait()
    held.release()

    stage.executions.clear()

    assert stage.executions.state() == {"running": 0, "succeeded": 0, "failed": 0}
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        stage.client.describe_execution(executionArn=execution)
    stage.answer = lambda event: event
    assert stage.end_of(stage.start(machine))["status"] == "SUCCEEDED"


def test_each_end_is_one_line(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "infra.local.executions")
    stage.start(stage.machine("packing", {"pack": task()}), "p1-1")
    stage.finish()

    (line,) = [record for record in caplog.records if record.getMessage() == "execution"]
    facts = vars(line)
    assert (facts["machine"], facts["execution"], facts["outcome"]) == (
        "packing",
        "p1-1",
        "succeeded",
    )
