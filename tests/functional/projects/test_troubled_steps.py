"""Bad days of the workflow: a project never stays half made in silence.

It ends active with everyone in it, or failed with the step named; never beyond its limit.
"""

from contextlib import ExitStack
from functools import partial
from itertools import product
from typing import Any

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, Client
from tests.functional.http.store_calls import just_before, met_at
from tests.functional.projects import workflow as projects
from tests.functional.projects.sizes import Sizes, in_sizes
from tests.functional.projects.troubles import (
    ALWAYS,
    SHOWN,
    STEPS,
    TROUBLES,
    UNDOING,
    assert_whole,
    executions,
    pairs,
)
from tests.functional.projects.workflow import (
    Trouble,
    Workflow,
    created,
    path,
    people,
    status,
    step,
)


@in_sizes
@pytest.mark.parametrize(
    ("name", "kind"), pairs(STEPS, TROUBLES, set(product(STEPS, ("crash after", "twice at once"))))
)
def test_a_step_that_goes_wrong_once_is_repeated_and_nothing_counts_twice(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, name: str, kind: Trouble, sizes: Sizes
) -> None:
    ids = people(sizes.batch + sizes.saved // 2, "customer")
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
    (mail,) = mailbox.sent(to="boss@example.com")
    assert SHOWN.get(name, name) in mail.text
    workflow.healed()
    assert manager.post(path(project_id, "retry")).status_code == 202
    cloud.run_until_idle()
    assert_whole(manager, project_id, ids)
    assert len(mailbox.sent(to="boss@example.com")) == 2


@pytest.mark.parametrize("name", STEPS)
def test_a_step_whose_work_is_done_but_never_answered_does_no_harm(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, name: str
) -> None:
    ids = people(3, "customer")
    project_id = created(manager, user_ids=ids)
    workflow.trouble(name, "crash after", ALWAYS)
    cloud.run_until_idle()
    assert workflow.steps()[name] > 1
    workflow.healed()

    if status(manager, project_id)["status"] == "failed":
        manager.post(path(project_id, "retry"))
        cloud.run_until_idle()
    assert_whole(manager, project_id, ids)


@pytest.mark.parametrize(
    ("name", "kind"),
    pairs(
        UNDOING,
        TROUBLES,
        {
            ("attach_participants", "crash before"),
            ("sync_users", "crash after"),
            ("sync_users", "twice at once"),
            ("delete_project", "answer lost and repeated"),
            ("finish", "twice at once"),
        },
    ),
)
def test_undoing_survives_the_same(
    cloud: LocalCloud, manager: Caller, active: str, workflow: Workflow, name: str, kind: Trouble
) -> None:
    workflow.trouble(name, kind)
    manager.delete(path(active))
    cloud.run_until_idle()

    assert status(manager, active)["status"] == "deleted"
    assert projects.credentials(active) == {}


def test_undoing_that_fails_is_failed_and_a_retry_goes_on_undoing(
    cloud: LocalCloud, manager: Caller, active: str, workflow: Workflow
) -> None:
    project_id = active
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


def test_a_step_of_a_run_that_is_over_does_nothing_and_says_so(
    manager: Caller, active: str, workflow: Workflow
) -> None:
    project_id = active
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


@in_sizes
def test_what_two_invocations_do_at_once_is_counted_once_before_it_is_counted_again(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, sizes: Sizes
) -> None:
    ids = people(sizes.batch, "customer")
    project_id = created(manager, user_ids=ids)
    seen: list[dict[str, int]] = []

    def look() -> None:
        seen.append(status(manager, project_id)["progress"]["users"])

    workflow.trouble("sync_users", "twice at once")
    workflow.before("finish", look)
    cloud.run_until_idle()
    manager.post(path(project_id, "users"), {"user_ids": ids[: sizes.saved]})
    workflow.trouble("attach_participants", "twice at once")
    workflow.before("finish", look)
    with ExitStack() as both:  # have seen the request, before either goes on
        meet = met_at("BatchGetItem", 2)
        workflow.before("attach_participants", lambda: both.enter_context(meet))
        cloud.run_until_idle()

    assert seen == [{"total": sizes.batch, "synced": sizes.batch, "failed": 0}] * 2


def test_users_asked_for_while_the_end_is_decided_are_not_left_out(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    """They are asked for when it was seen that nobody was, and the end is not yet written."""
    ids, late = people(2, "customer"), people(2, "customer", prefix="late")
    project_id = created(manager, user_ids=ids)
    add = partial(manager.post, path(project_id, "users"), {"user_ids": late})
    with ExitStack() as added:
        late_call = just_before("UpdateItem", add)
        workflow.before("finish", lambda: added.enter_context(late_call))
        cloud.run_until_idle()

    assert_whole(manager, project_id, ids + late)
    assert workflow.steps()["finish"] == 2
