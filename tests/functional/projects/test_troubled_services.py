"""Providers that refuse or are busy, and a store in trouble: told by name, and nothing is lost."""

import pytest
from msgspec.structs import replace

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Caller
from tests.functional.projects import workflow as projects
from tests.functional.projects.sizes import Sizes, in_sizes
from tests.functional.projects.troubles import assert_whole, pairs
from tests.functional.projects.workflow import (
    Workflow,
    created,
    people,
    status,
)


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
    assert shown["error"].startswith(
        "sync_users: 1 of 9 users could not be synced; for one of them: "
    )
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
    assert projects.participants(manager, project_id)[ids[-1]]["attempts"] == 2  # that failed


@pytest.mark.parametrize("name", ["refused", "busy"])
def test_a_project_that_its_provider_does_not_make_is_failed_at_that_step(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, name: str
) -> None:
    project_id = created(manager, name, user_ids=people(2, "customer"))
    cloud.run_until_idle()

    shown = status(manager, project_id)
    assert (shown["status"], shown["progress"]["step"]) == ("failed", "ensure_project")
    assert "because of its name" in shown["error"]
    assert set(workflow.steps()) == {"ensure_project", "record_failure"}
    assert workflow.steps()["ensure_project"] == {"refused": 1, "busy": 3}[name]


@in_sizes
@pytest.mark.parametrize(
    ("operation", "kind"),
    pairs(
        ("TransactWriteItems", "UpdateItem", "Query", "BatchGetItem"),
        ("refuse", "throttle", "lose_answer"),
        {
            ("TransactWriteItems", "lose_answer"),
            ("TransactWriteItems", "throttle"),
            ("UpdateItem", "lose_answer"),
            ("Query", "throttle"),
            ("BatchGetItem", "refuse"),
        },
    ),
)
def test_a_store_that_is_in_trouble_for_a_moment_delays_but_loses_nothing(
    cloud: LocalCloud,
    manager: Caller,
    workflow: Workflow,
    operation: str,
    kind: faults.Kind,
    sizes: Sizes,
) -> None:
    ids = people(sizes.saved + sizes.saved // 2, "customer")
    project_id = created(manager, user_ids=ids)
    trouble = Fault("dynamodb", operation, kind, times=4)
    workflow.before("attach_participants", lambda: faults.add(trouble))
    workflow.before("sync_users", lambda: faults.add(trouble))
    cloud.run_until_idle()
    assert faults.counts()[f"dynamodb.{operation}"]["faulted"] >= 4
    faults.clear()
    cloud.advance(120)
    cloud.run_until_idle()

    assert_whole(manager, project_id, ids)


def test_a_project_waits_while_the_deployment_has_not_named_its_workflow(
    cloud: LocalCloud, manager: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.projects.workflow import runs

    with monkeypatch.context() as unset:
        unset.setattr(runs, "settings", replace(runs.settings, provision_machine_arn=""))
        project_id = created(manager)
        cloud.run_until_idle()
        job = manager.the_job(type="projects.start")
        assert (job["status"], job["attempts"]) == ("queued", 0)
        assert "PROVISION_MACHINE_ARN is not set" in job["last_error"]
        assert status(manager, project_id)["status"] == "provisioning"
    cloud.advance(61)
    cloud.run_until_idle()

    assert status(manager, project_id)["status"] == "active"
