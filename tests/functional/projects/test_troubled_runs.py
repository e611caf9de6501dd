"""Runs that do not start, are started twice, are stopped or end without a result."""

import json
from collections import Counter
from functools import partial

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Caller
from tests.functional.http.store_calls import just_before
from tests.functional.projects.troubles import (
    ALWAYS,
    assert_whole,
    executions,
)
from tests.functional.projects.workflow import (
    Workflow,
    created,
    path,
    people,
    status,
)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            Fault("states", "StartExecution", "lose_answer", times=1), marks=pytest.mark.thorough
        ),
        Fault("states", "StartExecution", "lose_answer", times=6),
        pytest.param(
            Fault("states", "StartExecution", "refuse", times=6), marks=pytest.mark.thorough
        ),
        Fault("states", "StartExecution", "throttle", times=6),
        Fault("sqs", "SendMessageBatch", "refuse", times=6),
        Fault("sqs", "SendMessageBatch", "lose_answer", times=6),
    ],
    ids=lambda fault: f"{fault.operation} {fault.kind} {fault.times}",
)
def test_a_start_that_goes_wrong_is_one_execution_in_the_end(
    cloud: LocalCloud, manager: Caller, fault: Fault
) -> None:
    ids = people(3, "customer")
    faults.add(fault)
    project_id = created(manager, user_ids=ids)
    for _ in range(4):
        cloud.run_until_idle()
        cloud.advance(61)
    assert faults.counts()[f"{fault.service}.{fault.operation}"]["faulted"] >= 1
    faults.clear()
    cloud.run_until_idle()

    assert_whole(manager, project_id, ids)
    assert executions(cloud) == 1


def test_messages_that_come_doubled_start_one_execution(cloud: LocalCloud, manager: Caller) -> None:
    ids = people(3, "customer")
    project_id = created(manager, user_ids=ids)
    (job,) = manager.jobs(type="projects.start")
    message = {"v": 1, "type": "projects.start", "tenant": "t1", "job": job["id"]}
    for _ in range(5):
        aws.put_message("work", json.dumps(message))
    cloud.run_until_idle()

    assert_whole(manager, project_id, ids)
    assert executions(cloud) == 1
    for _ in range(2):
        aws.put_message("work", json.dumps(message))
    cloud.run_until_idle()
    assert executions(cloud) == 1


def test_a_run_that_is_never_started_ends_failed_at_its_limit_and_a_late_start_does_nothing(
    cloud: LocalCloud, manager: Caller
) -> None:
    project_id = created(manager)
    faults.add(Fault("states", "StartExecution", "refuse", times=None))
    for _ in range(4):
        cloud.run_until_idle()
        cloud.advance(61)
    assert status(manager, project_id)["status"] == "provisioning"
    cloud.advance(61)

    shown = status(manager, project_id)
    assert shown["status"] == "failed"
    assert "did not start in time" in shown["error"]
    faults.clear()
    cloud.advance(3600)
    cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "failed"
    assert executions(cloud) == 0
    assert manager.post(path(project_id, "retry")).status_code == 202
    cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "active"


def test_a_run_that_begins_while_it_is_taken_for_one_that_never_started_goes_on(
    cloud: LocalCloud, manager: Caller
) -> None:
    def begin() -> None:
        from chalicelib.projects import models
        from chalicelib.projects.workflow import progress

        project = models.get_project("t1", project_id)
        assert project is not None
        progress.begin(project, "ensure_project")

    project_id = created(manager)
    faults.add(Fault("states", "StartExecution", "refuse", times=None))
    for _ in range(4):
        cloud.run_until_idle()
        cloud.advance(61)
    with just_before("TransactWriteItems", begin):
        cloud.advance(61)

    assert status(manager, project_id)["status"] == "provisioning"


def stop_executions(cloud: LocalCloud) -> None:
    states = aws.client("stepfunctions")
    (machine,) = states.list_state_machines()["stateMachines"]
    running = states.list_executions(
        stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING"
    )
    for each in running["executions"]:
        states.stop_execution(executionArn=each["executionArn"])


@pytest.mark.parametrize(
    "name",
    [
        "attach_participants",
        "sync_users",
        "finish",
        pytest.param("ensure_project", marks=pytest.mark.thorough),
        pytest.param("list_batches", marks=pytest.mark.thorough),
    ],
)
def test_an_execution_stopped_from_outside_is_found_within_minutes_and_retry_makes_it_whole(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, name: str
) -> None:
    ids = people(3, "customer")
    project_id = created(manager, user_ids=ids)
    workflow.before(name, partial(stop_executions, cloud))
    cloud.run_until_idle()
    cloud.advance(61)
    cloud.run_until_idle()

    shown = status(manager, project_id)
    if shown["status"] != "active":  # the step at work when it was stopped may have been the last
        assert shown["status"] == "failed"
        assert "stopped from outside" in shown["error"]
        assert manager.post(path(project_id, "retry")).status_code == 202
        cloud.run_until_idle()
    assert_whole(manager, project_id, ids)


@pytest.mark.parametrize("name", ["suspend", "resume"])
def test_suspending_and_resuming_are_safe_to_repeat_and_wait_for_what_is_under_way(
    cloud: LocalCloud, manager: Caller, name: str
) -> None:
    project_id = created(manager)
    cloud.run_until_idle()
    if name == "resume":
        manager.post(path(project_id, "suspend"))
        cloud.run_until_idle()
    for _ in range(3):
        assert manager.post(path(project_id, name)).status_code == 202
    if name == "suspend":
        users = {"user_ids": people(2, "customer")}
        assert manager.post(path(project_id, "users"), users).status_code == 202
    for _ in range(4):
        cloud.run_until_idle()
        cloud.advance(61)

    ended = {"suspend": "suspended", "resume": "active"}[name]
    assert status(manager, project_id)["status"] == ended
    jobs = Counter(job["status"] for job in manager.jobs(type=f"projects.{name}"))
    assert jobs == {"done": 1, "skipped": 2}


def test_an_execution_that_ended_without_a_result_is_not_started_again_and_is_found(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    from chalicelib.kernel.jobs.outbox import Transaction

    project_id = created(manager)
    workflow.trouble("ensure_project", "crash before", ALWAYS)
    workflow.trouble("record_failure", "crash before", ALWAYS)
    cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "provisioning"
    with Transaction("t1") as tx:
        tx.enqueue("projects.start", project_id=project_id, run=1)
    cloud.run_until_idle()

    assert {job["status"] for job in manager.jobs(type="projects.start")} == {"done"}
    assert executions(cloud) == 1
    cloud.advance(61)
    assert "ended without a result" in status(manager, project_id)["error"]
