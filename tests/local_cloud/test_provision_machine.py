"""The state machine of projects, run with a function whose answers a test decides.

Tested are the order of the steps, their events, and what follows when they fail; what a step does
is tested with the domain.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3 import Session
from chalice.app import Chalice

from infra.local import clock
from infra.local.executions import Executions, functions_of

FILE = Path(__file__).parents[2] / "infra" / "statemachines" / "provision-project.asl.json"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:backburner-local-provision"
TASKS = ("ensure_project", "attach_participants", "list_batches", "finish")
BATCHES_A_PAGE = 20
Event = dict[str, Any]


class Workflow:
    """An execution of the state machine for a project with a number of batches."""

    def __init__(self, session: Session, batches: int = 1) -> None:
        self.client = session.client("stepfunctions")
        self.batches = batches
        self.events: list[Event] = []
        self.answers: dict[str, Callable[[Event], Any]] = {}
        app = Chalice("backburner")

        @app.lambda_function()
        def provision(event: Event, context: Any) -> Any:
            self.events.append(event)
            return self.answers.get(event["step"], self.usual)(event)

        self.executions = Executions(functions_of(app), on_error=lambda name, error: None)
        definition = FILE.read_text().replace("${ProvisionFunction}", FUNCTION)
        self.arn = self.client.create_state_machine(
            name="provision", definition=definition, roleArn="arn:aws:iam::123456789012:role/m"
        )["stateMachineArn"]

    def usual(self, event: Event) -> Any:
        if event["step"] != "list_batches":
            return {"outcome": "ok"}
        first = event["next"] or 0
        end = min(first + BATCHES_A_PAGE, self.batches)
        batches = [{"from": f"p{n}", "to": f"p{n}"} for n in range(first, end)]
        return {"outcome": "ok", "batches": batches, "next": end if end < self.batches else None}

    def run(self, kind: str = "provision") -> str:
        """Runs an execution to its end and returns its status."""
        data = {"tenant": "t1", "project": "p1", "run": 1, "kind": kind}
        self.execution = self.client.start_execution(
            stateMachineArn=self.arn, name="p1-1", input=json.dumps(data)
        )["executionArn"]
        while self.executions.advance():
            pass
        return str(self.client.describe_execution(executionArn=self.execution)["status"])

    def history(self) -> list[Event]:
        pages = self.client.get_paginator("get_execution_history")
        answers = pages.paginate(executionArn=self.execution)
        return [event for answer in answers for event in answer["events"]]

    def steps(self) -> list[str]:
        return [event["step"] for event in self.events]


@pytest.fixture
def workflow(session: Session) -> Iterator[Workflow]:
    workflow = Workflow(session)
    workflow.executions.start()
    yield workflow
    clock.stop()
    workflow.executions.clear()
    workflow.executions.stop()


def refuse(event: Event) -> Any:
    return {"outcome": "failed", "reason": "for good"}


def break_down(event: Event) -> Any:
    raise TimeoutError("the provider is silent")


def test_a_project_is_made_step_by_step(workflow: Workflow) -> None:
    assert workflow.run() == "SUCCEEDED"
    assert workflow.steps() == [
        "ensure_project",
        "attach_participants",
        "list_batches",
        "sync_users",
        "finish",
    ]


def test_the_event_of_a_step_names_the_tenant_the_project_the_run_and_the_retry(
    workflow: Workflow,
) -> None:
    workflow.run()
    assert len(workflow.events) == 5
    for event in workflow.events:
        known = {name: event[name] for name in ("tenant", "project", "run", "kind", "retry")}
        assert known == {
            "tenant": "t1",
            "project": "p1",
            "run": 1,
            "kind": "provision",
            "retry": 0,
        }
    (batch,) = [event for event in workflow.events if event["step"] == "sync_users"]
    assert (batch["from"], batch["to"]) == ("p0", "p0")


def test_what_is_deleted_is_not_made_first_and_goes_after_its_users(workflow: Workflow) -> None:
    assert workflow.run("deprovision") == "SUCCEEDED"
    assert workflow.steps() == [
        "attach_participants",
        "list_batches",
        "sync_users",
        "delete_project",
        "finish",
    ]


def test_a_step_says_more_until_it_is_done(workflow: Workflow) -> None:
    def more_twice(event: Event) -> Any:
        so_far = workflow.steps().count(event["step"])
        return {"outcome": "more" if so_far < 3 else "ok"}

    workflow.answers["attach_participants"] = more_twice
    assert workflow.run() == "SUCCEEDED"
    assert workflow.steps().count("attach_participants") == 3


def test_who_came_meanwhile_is_attached_before_the_end(workflow: Workflow) -> None:
    def more_once(event: Event) -> Any:
        return {"outcome": "more" if workflow.steps().count("finish") == 1 else "ok"}

    workflow.answers["finish"] = more_once
    assert workflow.run() == "SUCCEEDED"
    assert workflow.steps()[-4:] == ["attach_participants", "list_batches", "sync_users", "finish"]


@pytest.mark.parametrize("step", ["ensure_project", "attach_participants", "list_batches"])
def test_a_step_that_fails_for_good_is_recorded_with_its_reason(
    workflow: Workflow, step: str
) -> None:
    workflow.answers[step] = refuse
    assert workflow.run() == "FAILED"

    recorded = workflow.events[-1]
    assert (recorded["step"], recorded["failed_step"]) == ("record_failure", step)
    assert recorded["answer"]["reason"] == "for good"
    assert workflow.steps().count(step) == 1


def test_an_end_that_finds_somebody_missing_has_recorded_it_itself(workflow: Workflow) -> None:
    workflow.answers["finish"] = refuse
    assert workflow.run() == "FAILED"
    assert "record_failure" not in workflow.steps()


@pytest.mark.parametrize("step", TASKS)
def test_a_step_that_breaks_down_is_tried_three_times_and_then_recorded(
    workflow: Workflow, step: str
) -> None:
    workflow.answers[step] = break_down
    assert workflow.run() == "FAILED"

    tries = [event["retry"] for event in workflow.events if event["step"] == step]
    recorded = workflow.events[-1]
    assert tries == [0, 1, 2]
    assert (recorded["step"], recorded["failed_step"]) == ("record_failure", step)
    assert recorded["answer"]["Error"] == "TimeoutError"


@pytest.mark.parametrize("step", [*TASKS, "sync_users"])
def test_a_step_that_breaks_down_once_is_tried_again(workflow: Workflow, step: str) -> None:
    def once(event: Event) -> Any:
        return break_down(event) if event["retry"] == 0 else workflow.usual(event)

    workflow.answers[step] = once
    assert workflow.run() == "SUCCEEDED"
    assert workflow.steps().count(step) == 2


def test_a_batch_that_breaks_down_for_good_does_not_stop_the_others(workflow: Workflow) -> None:
    workflow.batches = 7
    workflow.answers["sync_users"] = lambda event: (
        break_down(event) if event["from"] == "p3" else {"outcome": "ok"}
    )
    assert workflow.run() == "SUCCEEDED"
    synced = {event["from"] for event in workflow.events if event["step"] == "sync_users"}
    assert synced == {f"p{n}" for n in range(7)}
    assert workflow.steps()[-1] == "finish"


def test_a_project_without_participants_ends(workflow: Workflow) -> None:
    workflow.batches = 0
    assert workflow.run() == "SUCCEEDED"
    assert "sync_users" not in workflow.steps()


def test_a_failure_that_cannot_be_recorded_is_still_a_failure(workflow: Workflow) -> None:
    workflow.answers |= {"ensure_project": refuse, "record_failure": break_down}
    assert workflow.run() == "FAILED"


def test_five_thousand_users_fit_into_one_execution(workflow: Workflow) -> None:
    workflow.batches = 100  # of 50 users each
    assert workflow.run() == "SUCCEEDED"

    synced = [event["from"] for event in workflow.events if event["step"] == "sync_users"]
    assert sorted(synced) == sorted(f"p{n}" for n in range(100))
    history = workflow.history()
    assert len(history) < 10_000
    transitions = sum(event["type"].endswith("StateEntered") for event in history)
    assert transitions < 200  # what an execution is paid by


def test_no_task_and_no_machine_runs_without_end() -> None:
    machine = json.loads(FILE.read_text())
    mapped = machine["States"]["sync_batches"]["ItemProcessor"]["States"]
    tasks = [s for s in (machine["States"] | mapped).values() if s["Type"] == "Task"]

    assert len(tasks) > len(TASKS)
    assert machine["TimeoutSeconds"] == 300
    for task in tasks:
        (retry,) = task["Retry"]
        assert task["TimeoutSeconds"] == 60
        assert (retry["ErrorEquals"], retry["MaxAttempts"]) == (["States.ALL"], 2)
        assert retry["JitterStrategy"] == "FULL"
