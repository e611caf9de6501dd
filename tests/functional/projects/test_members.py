"""Who takes part in a project: added and removed in the background; and who may see it."""

from functools import partial

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller, Client, aws_calls
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import (
    MISSING,
    Workflow,
    created,
    joined,
    path,
    people,
    status,
)


def test_users_are_added_in_the_background_and_shown_in_progress(
    cloud: LocalCloud, manager: Caller, active: str
) -> None:
    more = people(2, "customer", prefix="more")
    before = projects.provider_calls()
    answer = manager.post(path(active, "users"), {"user_ids": [*more, more[0]]})

    assert answer.status_code == 202
    assert answer.json()["data"]["status"] == "provisioning"
    assert aws_calls(answer) == 3
    cloud.run_until_idle()
    shown = status(manager, active)
    assert shown["status"] == "active"
    assert shown["progress"]["users"] == {"total": 5, "synced": 5, "failed": 0}
    assert projects.provider_calls() - before == 1 + 2 * 3
    assert set(more) <= set(projects.credentials(active))


def test_users_asked_for_while_it_is_being_made_are_in_it_when_it_is_active(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    project_id = created(manager, user_ids=people(2, "customer"))
    late = [people(1, "customer", prefix=f"late{number}") for number in range(5)]
    answers: list[Answer] = []

    def add(ids: list[str]) -> None:
        answers.append(manager.post(path(project_id, "users"), {"user_ids": ids}))

    steps = ("ensure_project", "attach_participants", "list_batches", "sync_users", "finish")
    for step, ids in zip(steps, late, strict=True):
        workflow.before(step, partial(add, ids))
    cloud.run_until_idle()

    assert [each.status_code for each in answers] == [202] * 5
    shown = status(manager, project_id)
    assert shown["status"] == "active"
    assert shown["progress"]["users"] == {"total": 7, "synced": 7, "failed": 0}
    assert len(projects.credentials(project_id)) == 7


def test_a_user_removed_sees_the_project_no_more_at_once_and_loses_all_later(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    who, member = joined(client, "ann@example.com")
    project_id = created(manager, user_ids=[who, *people(1, "customer")])
    cloud.run_until_idle()
    assert member.get(path(project_id)).status_code == 200
    answer = manager.delete(path(project_id, "users", who))

    assert answer.status_code == 202
    assert member.get(path(project_id)).status_code == 404
    assert member.listed("/admin/v1/projects") == []
    cloud.run_until_idle()
    assert status(manager, project_id)["progress"]["users"] == {
        "total": 1,
        "synced": 1,
        "failed": 0,
    }
    assert who not in projects.credentials(project_id)
    assert manager.delete(path(project_id, "users", who)).status_code == 404


def test_a_user_removed_can_come_back_and_is_not_added_by_default(
    cloud: LocalCloud, manager: Caller
) -> None:
    (who,) = people(1)
    project_id = created(manager)
    cloud.run_until_idle()
    manager.delete(path(project_id, "users", who))
    cloud.run_until_idle()
    assert status(manager, project_id)["progress"]["users"]["total"] == 0
    manager.post(path(project_id, "users"), {"user_ids": [who]})
    cloud.run_until_idle()

    assert status(manager, project_id)["progress"]["users"] == {
        "total": 1,
        "synced": 1,
        "failed": 0,
    }
    assert set(projects.credentials(project_id)) == {who}


@pytest.mark.parametrize("step", ["attach_participants", "list_batches", "sync_users", "finish"])
def test_a_user_removed_while_it_is_being_made_is_out_when_it_is_active(
    cloud: LocalCloud, manager: Caller, active: str, workflow: Workflow, step: str
) -> None:
    project_id, ids = active, list(projects.participants(manager, active))
    manager.post(path(project_id, "users"), {"user_ids": people(1, "customer", prefix="more")})
    answers: list[Answer] = []
    workflow.before(step, lambda: answers.append(manager.delete(path(project_id, "users", ids[0]))))
    cloud.run_until_idle()

    assert [each.status_code for each in answers] == [202]
    shown = status(manager, project_id)
    assert (shown["status"], shown["progress"]["users"]["synced"]) == ("active", 3)
    assert ids[0] not in projects.credentials(project_id)


@pytest.mark.parametrize(
    "ids", [[], ["x" * 101], [MISSING], [str(number) for number in range(81)]], ids=len
)
def test_users_who_cannot_take_part_are_not_added(
    cloud: LocalCloud, manager: Caller, active: str, ids: list[str]
) -> None:
    assert manager.post(path(active, "users"), {"user_ids": ids}).status_code == 422
    assert status(manager, active)["status"] == "active"


def test_members_see_a_project_and_nobody_else_does(
    cloud: LocalCloud, client: Client, manager: Caller, other: Caller, admin: Caller
) -> None:
    ann, as_ann = joined(client, "ann@example.com")
    _, as_bob = joined(client, "bob@example.com")
    mine, theirs = created(manager, user_ids=[ann]), created(manager, "Birch")
    cloud.run_until_idle()

    for more in ((), ("status",), ("users",)):
        for caller in (manager, admin, as_ann):
            assert caller.get(path(mine, *more)).status_code == 200
        for caller in (other, as_bob, client.as_("staff"), client.as_("customer", "t2")):
            assert caller.get(path(mine, *more)).status_code == 404
        assert as_ann.get(path(theirs, *more)).status_code == 404
    assert [each["id"] for each in as_ann.listed("/admin/v1/projects")] == [mine]
    assert as_bob.listed("/admin/v1/projects") == []
    assert [each["id"] for each in manager.listed("/admin/v1/projects")] == [theirs, mine]
    assert other.listed("/admin/v1/projects") == []


def test_a_member_pages_through_their_projects_and_reads_a_status_in_one_call(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    ann, as_ann = joined(client, "ann@example.com")
    ids = [created(manager, f"Project {number}", user_ids=[ann]) for number in range(5)]
    cloud.run_until_idle()

    pages = list(as_ann.pages("/admin/v1/projects", per_page=2))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [each["id"] for page in pages for each in page] == ids[::-1]
    assert [len(page) for page in as_ann.pages("/admin/v1/projects", status="failed")] == [0]
    shown = as_ann.get(path(ids[0], "status"))
    assert aws_calls(shown) == 1
    assert aws_calls(manager.get(path(ids[0], "status"))) == 1
