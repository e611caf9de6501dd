"""Bad days of the workflow: a project never stays half made in silence.

It ends active with everyone in it, or failed with the step named; never beyond its limit.
"""

import json
import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest

from infra.local import faults, outbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Caller, Client
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import (
    Trouble,
    Workflow,
    created,
    path,
    people,
    status,
    step,
)

STEPS = ("ensure_project", "attach_participants", "list_batches", "sync_users", "finish")
TROUBLES: tuple[Trouble, ...] = (
    "crash before",
    "crash after",
    "answer lost and repeated",
    "twice at once",
)
ALWAYS = float("inf")
SHOWN = {"list_batches": "sync_users"}


def assert_whole(manager: Caller, project_id: str, ids: list[str]) -> None:
    """Active, and everyone is in it, once."""
    shown = status(manager, project_id)
    assert shown["status"] == "active", shown
    count = {"total": len(ids), "synced": len(ids), "failed": 0}
    assert shown["progress"]["users"] == count
    assert shown["progress"]["percent"] == 100
    assert {each["status"] for each in projects.participants(manager, project_id).values()} == {
        "synced"
    }
    assert set(projects.credentials(project_id)) == set(ids)
    assert shown["error"] is None


def executions(cloud: LocalCloud) -> int:
    return sum(cloud.state()["executions"].values())


@pytest.mark.parametrize("kind", TROUBLES)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_goes_wrong_once_is_repeated_and_nothing_counts_twice(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, name: str, kind: Trouble
) -> None:
    ids = people(60, "customer")
    project_id = created(manager, user_ids=ids)
    workflow.trouble(name, kind)
    cloud.run_until_idle()

    assert_whole(manager, project_id, ids)
    assert executions(cloud) == 1


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_always_crashes_fails_the_project_there_and_a_retry_makes_it_whole(
    cloud: LocalCloud, client: Client, workflow: Workflow, name: str
) -> None:
    manager = client.as_("manager", email="boss@example.com", email_verified=True)
    ids = people(3, "customer")
    project_id = created(manager, user_ids=ids)
    workflow.trouble(name, "crash before", ALWAYS)
    cloud.run_until_idle()

    shown = status(manager, project_id)
    assert shown["status"] == "failed"
    assert shown["error"].startswith(SHOWN.get(name, name))
    assert step(shown, SHOWN.get(name, name))["status"] == "failed"
    assert workflow.steps()[name] == 3
    assert "running" not in {each["status"] for each in shown["progress"]["steps"]}
    (mail,) = outbox.sent(to="boss@example.com")
    assert SHOWN.get(name, name) in mail.text
    workflow.healed()
    assert manager.post(path(project_id, "retry")).status_code == 202
    cloud.run_until_idle()
    assert_whole(manager, project_id, ids)
    assert len(outbox.sent(to="boss@example.com")) == 2


@pytest.mark.parametrize("name", STEPS)
def test_a_step_whose_work_is_done_but_never_answered_does_no_harm(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, name: str
) -> None:
    ids = people(3, "customer")
    project_id = created(manager, user_ids=ids)
    workflow.trouble(name, "crash after", ALWAYS)
    cloud.run_until_idle()
    workflow.healed()

    if status(manager, project_id)["status"] == "failed":
        manager.post(path(project_id, "retry"))
        cloud.run_until_idle()
    assert_whole(manager, project_id, ids)


@pytest.mark.parametrize("name", ["attach_participants", "sync_users", "delete_project", "finish"])
@pytest.mark.parametrize("kind", TROUBLES)
def test_undoing_survives_the_same(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, name: str, kind: Trouble
) -> None:
    project_id = created(manager, user_ids=people(3, "customer"))
    cloud.run_until_idle()
    workflow.trouble(name, kind)
    manager.delete(path(project_id))
    cloud.run_until_idle()

    assert status(manager, project_id)["status"] == "deleted"
    assert projects.credentials(project_id) == {}


def test_undoing_that_fails_is_failed_and_a_retry_goes_on_undoing(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    project_id = created(manager, user_ids=people(3, "customer"))
    cloud.run_until_idle()
    workflow.trouble("delete_project", "crash before", ALWAYS)
    manager.delete(path(project_id))
    cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "failed"
    assert status(manager, project_id)["error"].startswith("delete_project")
    users = {"user_ids": people(1, "customer", prefix="more")}
    assert manager.post(path(project_id, "users"), users).status_code == 409
    workflow.healed()

    assert manager.post(path(project_id, "retry")).json()["data"]["status"] == "deprovisioning"
    cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "deleted"


@pytest.mark.parametrize(
    ("address", "tries", "told"),
    [
        ("refused@example.com", 1, "refuses"),
        ("refused-grant@example.com", 1, "refuses"),
        ("refused-credential@example.com", 1, "refuses"),
        ("busy@example.com", 3, "too busy"),
        ("busy-credential@example.com", 3, "too busy"),
    ],
)
def test_one_users_failure_is_recorded_with_its_reason_and_stops_nobody_else(
    cloud: LocalCloud, manager: Caller, address: str, tries: int, told: str
) -> None:
    good, bad = people(4, "customer"), people(1, "customer", prefix=address)
    good += people(4, "customer", prefix="v")
    project_id = created(manager, user_ids=[*good[:4], *bad, *good[4:]])
    cloud.run_until_idle()

    found = projects.participants(manager, project_id)
    assert {found[each]["status"] for each in good} == {"synced"}
    assert found[bad[0]] == {**found[bad[0]], "status": "failed", "attempts": tries}
    assert told in found[bad[0]]["error"]
    shown = status(manager, project_id)
    assert shown["status"] == "failed"
    assert shown["error"].startswith("sync_users: 1 of 9 users not synced; one: ")
    assert told in shown["error"]
    assert shown["progress"]["users"] == {"total": 9, "synced": 8, "failed": 1}
    assert shown["progress"]["percent"] < 100
    assert {each["status"] for each in shown["progress"]["steps"]} == {"done", "failed"}


@pytest.mark.parametrize("when", ["user", "grant", "credential"])
def test_what_passes_by_itself_is_tried_until_it_does(
    cloud: LocalCloud, manager: Caller, when: str
) -> None:
    ids = people(2, "customer") + people(1, "customer", prefix=f"flaky-{when}@example.com")
    project_id = created(manager, user_ids=ids)
    cloud.run_until_idle()

    assert_whole(manager, project_id, ids)


@pytest.mark.parametrize("name", ["refused", "busy"])
def test_a_project_that_its_provider_does_not_make_is_failed_at_that_step(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, name: str
) -> None:
    project_id = created(manager, name, user_ids=people(2, "customer"))
    cloud.run_until_idle()

    shown = status(manager, project_id)
    assert (shown["status"], shown["progress"]["step"]) == ("failed", "ensure_project")
    assert "as its name asks for" in shown["error"]
    assert set(workflow.steps()) == {"ensure_project", "record_failure"}
    assert workflow.steps()["ensure_project"] == {"refused": 1, "busy": 3}[name]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("states", "StartExecution", "lose_answer", times=1),
        Fault("states", "StartExecution", "lose_answer", times=6),
        Fault("states", "StartExecution", "refuse", times=6),
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


def stop_executions(cloud: LocalCloud) -> None:
    states = aws.client("stepfunctions")
    (machine,) = states.list_state_machines()["stateMachines"]
    running = states.list_executions(
        stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING"
    )
    for each in running["executions"]:
        states.stop_execution(executionArn=each["executionArn"])


@pytest.mark.parametrize("name", STEPS)
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


def test_a_step_of_a_run_that_is_over_does_nothing_and_says_so(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    project_id = created(manager, user_ids=people(3, "customer"))
    cloud.run_until_idle()
    before = aws.rows("projects")
    calls = projects.provider_calls()
    ends = {"from": "0", "to": "~", "next": None, "failed_step": "finish"}
    for name in (*STEPS, "delete_project", "record_failure"):
        for run in (0, 1, 2):
            event = {"step": name, "tenant": "t1", "project": project_id, "run": run, **ends}
            answer = workflow._function({**event, "kind": "provision"}, None)
            assert (answer["outcome"], answer["reason"]) == ("failed", "this run is over")

    assert aws.rows("projects") == before
    assert projects.provider_calls() == calls


def test_a_project_of_another_tenant_is_none_of_a_steps(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    project_id = created(manager)
    event = {"step": "ensure_project", "tenant": "t2", "project": project_id, "run": 1}

    assert workflow._function({**event, "kind": "provision"}, None)["reason"] == "this run is over"


@pytest.mark.parametrize("kind", ["refuse", "throttle", "lose_answer"])
@pytest.mark.parametrize("operation", ["TransactWriteItems", "UpdateItem", "Query", "BatchGetItem"])
def test_a_store_that_is_in_trouble_for_a_moment_delays_but_loses_nothing(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, operation: str, kind: faults.Kind
) -> None:
    ids = people(30, "customer")
    project_id = created(manager, user_ids=ids)
    trouble = Fault("dynamodb", operation, kind, times=4)
    workflow.before("attach_participants", lambda: faults.add(trouble))
    workflow.before("sync_users", lambda: faults.add(trouble))
    cloud.run_until_idle()
    faults.clear()
    cloud.advance(120)
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


def test_a_new_run_overtakes_what_is_left_of_the_last_one(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    """The step of the first run is thawed when the second one has begun."""
    ids = people(3, "customer")
    project_id = created(manager, user_ids=ids)
    frozen: list[dict[str, Any]] = []
    workflow.before("sync_users", lambda: frozen.extend(workflow.calls[-1:]))
    workflow.trouble("sync_users", "crash before", ALWAYS)
    cloud.run_until_idle()
    workflow.healed()
    manager.post(path(project_id, "retry"))
    workflow.before("sync_users", lambda: workflow._function(frozen[0], None))
    cloud.run_until_idle()

    assert_whole(manager, project_id, ids)


def test_what_two_invocations_do_at_once_is_counted_once_before_it_is_counted_again(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    ids = people(50, "customer")
    project_id = created(manager, user_ids=ids)
    seen: list[dict[str, int]] = []

    def look() -> None:
        seen.append(status(manager, project_id)["progress"]["users"])

    workflow.trouble("sync_users", "twice at once")
    workflow.before("finish", look)
    cloud.run_until_idle()
    manager.post(path(project_id, "users"), {"user_ids": ids[:20]})
    workflow.trouble("attach_participants", "twice at once")
    slow = Fault("dynamodb", "BatchGetItem", "delay", times=4, seconds=0.5)
    workflow.before("attach_participants", lambda: faults.add(slow))  # both have seen the request
    workflow.before("finish", look)
    cloud.run_until_idle()

    assert seen == [{"total": 50, "synced": 50, "failed": 0}] * 2


def test_users_asked_for_while_the_end_is_decided_are_not_left_out(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    """The end is decided slowly, after it was seen that nobody was asked for."""
    ids, late = people(2, "customer"), people(2, "customer", prefix="late")
    project_id = created(manager, user_ids=ids)
    caller = manager.in_a_session_of_its_own()
    add = threading.Timer(0.5, caller.post, [path(project_id, "users"), {"user_ids": late}])

    def decide_slowly() -> None:
        faults.add(Fault("dynamodb", "UpdateItem", "delay", times=1, seconds=2))
        add.start()

    workflow.before("finish", decide_slowly)
    cloud.run_until_idle()
    add.join()

    assert_whole(manager, project_id, ids + late)
    assert workflow.steps()["finish"] == 2


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
