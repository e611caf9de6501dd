"""State machines: tasks run the app's functions, and all waiting follows the local clock."""

import json
from itertools import pairwise
from typing import Any

from infra.local import clock
from tests.local_cloud.stage import FUNCTION, PATIENCE, Held, Stage, retried, task

# Tasks -------------------------------------------------------------------------------------------


def test_a_task_runs_the_apps_function_with_event_and_context(stage: Stage) -> None:
    stage.answer = lambda event: {"packed": event["parcels"]}
    execution = stage.start(stage.machine("m", {"pack": task()}), data={"parcels": 3})

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
    execution = stage.start(stage.machine("m", states), data=list(range(12)))
    for _ in range(5):
        held.wait()

    assert stage.executions.tasks.under_way == 5
    held.release()
    assert json.loads(stage.end_of(execution)["output"]) == list(range(12))


def test_an_empty_map_ends(stage: Stage) -> None:
    items = {"ItemProcessor": {"StartAt": "pack", "States": {"pack": task()}}}
    execution = stage.start(
        stage.machine("m", {"all": {"Type": "Map", "End": True, **items}}), data=[]
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
    execution = stage.start(stage.machine("m", states, TimeoutSeconds=300), data=list(range(9)))
    held.wait()
    held.wait()

    clock.advance(301)
    assert stage.end_of(execution)["status"] == "TIMED_OUT"
    held.release()
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
        stage.executions.advance()

    ended = stage.end_of(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert stage.events_of(execution).count("LambdaFunctionTimedOut") == 2


def test_a_machine_that_loops_for_a_long_time_keeps_its_history_in_order(stage: Stage) -> None:
    choices = [{"Variable": "$.n", "NumericGreaterThan": 0, "Next": "pack"}]
    states = {
        "pack": {"Type": "Task", "Resource": FUNCTION, "Next": "more"},
        "more": {"Type": "Choice", "Choices": choices, "Default": "done"},
        "done": {"Type": "Succeed"},
    }
    stage.answer = lambda event: {"n": event["n"] - 1}
    execution = stage.start(stage.machine("m", states), data={"n": 30})

    assert stage.end_of(execution)["status"] == "SUCCEEDED"
    assert stage.events_of(execution).count("LambdaFunctionSucceeded") == 30
