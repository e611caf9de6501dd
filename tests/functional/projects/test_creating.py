"""Creating a project: answered at once, made at its provider afterwards."""

from datetime import datetime
from typing import Any

import msgspec
import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, Client, aws_calls
from tests.functional.projects import workflow as projects
from tests.functional.projects.sizes import Sizes, in_sizes
from tests.functional.projects.workflow import Workflow, create, created, people, status


def test_a_project_with_fifty_users_is_accepted_in_two_calls_and_then_active_with_all_of_them(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    ids = people(50)
    before = projects.provider_calls()
    answer = create(manager, user_ids=ids)

    assert answer.status_code == 201
    assert aws_calls(answer) == 2
    content = answer.json()
    assert content["status"] == content["data"]["status"] == "provisioning"
    assert content["message"] == (
        "Project created successfully. Infrastructure provisioning in progress."
    )
    assert content["estimated_completion"] > content["data"]["provisioning_started_at"]
    cloud.run_until_idle()
    project_id = content["data"]["id"]
    shown = status(manager, project_id)
    assert shown["status"] == "active"
    assert shown["progress"]["users"] == {"total": 50, "synced": 50, "failed": 0}
    assert shown["progress"]["percent"] == 100
    assert {each["status"] for each in shown["progress"]["steps"]} == {"done"}
    assert set(projects.credentials(project_id)) == set(ids)
    assert (projects.provider_calls() - before - 1) / 50 <= 3
    assert workflow.steps()["sync_users"] == 1


def test_the_answer_has_all_that_clients_know_of_a_project(manager: Caller) -> None:
    answer = create(
        manager, "  Alder Website", description="Shop <b>and</b> blog", region="local-2"
    )

    data = answer.json()["data"]
    assert data == {
        **data,
        "name": "  Alder Website",
        "identifier": f"alder-website-{data['id'][-8:]}",
        "description": "Shop <b>and</b> blog",
        "provider": "simulated",
        "region": "local-2",
        "status": "provisioning",
        "error": None,
        "provisioning_completed_at": None,
    }
    assert data["estimate"] == {
        "p50_seconds": 60,
        "p90_seconds": 60,
        "past_runs": 0,
        "assumed": True,
    }
    assert answer.headers["Location"].endswith(f"/admin/v1/projects/{data['id']}")
    read = manager.get(projects.path(data["id"]))
    assert read.headers["ETag"] == answer.headers["ETag"] == '"v1"'
    assert {**data, **read.json()["data"]} == data


def test_the_estimate_is_learned_from_past_runs_of_the_provider(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel import cache
    from chalicelib.projects import durations

    created(manager)
    cloud.run_until_idle()
    for seconds in (10, 20, 30, 40):
        durations.add("simulated", seconds)
    cache.forget_all()
    data = create(manager, "Birch").json()["data"]

    assert data["estimate"]["assumed"] is False
    assert data["estimate"]["past_runs"] == 5
    assert data["estimate"]["p90_seconds"] == 40
    started = datetime.fromisoformat(data["provisioning_started_at"])
    until = datetime.fromisoformat(data["estimated_completion"])
    assert 38 < (until - started).total_seconds() <= 41


def test_everyone_takes_part_once_with_the_role_that_theirs_in_the_tenant_gives(
    cloud: LocalCloud, manager: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.projects.workflow import participants

    named = "root@example.com,admin0@example.com"
    told = msgspec.structs.replace(participants.settings, platform_admins=named)
    monkeypatch.setattr(participants, "settings", told)
    leaders, staff = people(1, "manager", prefix="m"), people(2, "staff", prefix="s")
    looking_on = people(3, "customer", prefix="c")
    admins = people(1, "admin", prefix="admin")
    gone = people(1, "staff", prefix="gone")
    manager.delete(f"/admin/v1/users/{gone[0]}")
    people(2, "staff", tenant="t2", prefix="foreign")
    project_id = created(manager, user_ids=[looking_on[0], staff[0], looking_on[0]])
    cloud.run_until_idle()

    found = projects.participants(manager, project_id)
    of_the_platform = [each for each in found if each.startswith("admin-")]
    assert len(of_the_platform) == 1
    assert {each: found[each]["role"] for each in found} == {
        leaders[0]: "admin",
        staff[0]: "member",
        staff[1]: "member",
        looking_on[0]: "reader",
        admins[0]: "admin",
        of_the_platform[0]: "admin",
    }
    assert {each["status"] for each in found.values()} == {"synced"}
    assert status(manager, project_id)["progress"]["users"]["total"] == 6


def test_the_tenants_defaults_say_where_a_project_is_made(client: Client, manager: Caller) -> None:
    admin = client.as_("admin", None)
    defaults = {"defaults": {"provider": "simulated", "region": "local-2"}}
    admin.patch("/admin/v1/tenants/t1", defaults)

    assert create(manager).json()["data"]["region"] == "local-2"
    assert create(manager, "Birch", region="local-1").json()["data"]["region"] == "local-1"


def test_ids_given_twice_count_once(cloud: LocalCloud, manager: Caller) -> None:
    ids = people(40, "customer")
    project_id = created(manager, user_ids=[*ids, *ids])
    cloud.run_until_idle()

    assert status(manager, project_id)["progress"]["users"]["total"] == 40


def test_eighty_users_fit_and_an_idempotency_key_beside_them(
    cloud: LocalCloud, manager: Caller
) -> None:
    ids, key = people(80, "customer"), {"Idempotency-Key": "k1"}
    body = {"name": "Alder", "user_ids": ids}
    answer = manager.post("/admin/v1/projects", body, headers=key)
    again = manager.post("/admin/v1/projects", body, headers=key)

    assert answer.status_code == again.status_code == 201
    assert again.content == answer.content
    assert again.headers["Idempotent-Replayed"] == "true"
    cloud.run_until_idle()
    assert len(manager.listed("/admin/v1/projects")) == 1
    assert status(manager, answer.json()["data"]["id"])["progress"]["users"]["synced"] == 80


def test_the_creator_is_told_when_the_project_is_ready(cloud: LocalCloud, client: Client) -> None:
    people(1, "manager", prefix="boss@example.com")
    boss = client.as_("manager", sub="boss", email="boss@example.com", email_verified=True)
    project_id = created(boss, "Alder <b>Website</b>")
    cloud.run_until_idle()

    (mail,) = mailbox.sent(to="boss@example.com")
    assert mail.subject == "Alder <b>Website</b> is ready"
    assert "Alder &lt;b&gt;Website&lt;/b&gt;" in mail.html
    assert f"{cloud.url}/projects/{project_id}" in mail.text
    assert "with 1 users" in mail.text


@in_sizes
def test_progress_never_goes_back_and_ends_at_a_hundred(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, sizes: Sizes
) -> None:
    staff, asked_for_late = sizes.batch * 2 + sizes.saved, sizes.batch + sizes.saved
    people(staff)
    project_id = created(manager, user_ids=people(3, "customer", prefix="c"))
    seen: list[dict[str, Any]] = []
    more = {"user_ids": people(asked_for_late, "customer", prefix="late")}
    workflow.before("finish", lambda: manager.post(projects.path(project_id, "users"), more))
    workflow.watch(lambda: seen.append(status(manager, project_id)["progress"]))
    cloud.run_until_idle()
    seen.append(status(manager, project_id)["progress"])

    percents = [each["percent"] for each in seen]
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert len(set(percents)) >= 4
    assert workflow.steps()["finish"] == 2
    synced = [each["users"]["synced"] for each in seen]
    assert synced == sorted(synced)
    assert synced[-1] == seen[-1]["users"]["total"] == staff + 3 + asked_for_late


def test_neither_queue_nor_execution_nor_log_holds_anything_about_a_person(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    created(manager, user_ids=people(2, "customer", prefix="secret-person"))
    (message,) = aws.take_messages("work")
    assert "secret-person" not in message
    cloud.advance(100)
    cloud.run_until_idle()

    assert workflow.calls
    assert "secret-person" not in str(workflow.calls)
    (machine,) = aws.client("stepfunctions").list_state_machines()["stateMachines"]
    arn = machine["stateMachineArn"]
    (run,) = aws.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
    found = aws.client("stepfunctions").describe_execution(executionArn=run["executionArn"])
    assert "secret-person" not in f"{found['input']} {found.get('output')}"
