"""What can be asked of a project: retry, suspend, resume, undo, another name; and by whom."""

from functools import partial

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, Client, at_once, aws_calls
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import (
    MISSING,
    Workflow,
    ask,
    create,
    created,
    path,
    people,
    status,
)


def test_suspending_and_resuming_change_the_status_once_the_provider_has_followed(
    cloud: LocalCloud, manager: Caller, active: str
) -> None:
    answer = ask(manager, active, "suspend")
    assert answer.status_code == 202
    assert answer.json()["data"]["status"] == "active"
    cloud.run_until_idle()
    assert status(manager, active)["status"] == "suspended"
    assert ask(manager, active, "resume").status_code == 202
    cloud.run_until_idle()
    assert status(manager, active)["status"] == "active"


@pytest.mark.parametrize("what", ["retry", "suspend", "resume", "delete"])
def test_what_the_status_does_not_allow_is_a_409_that_says_what_would(
    cloud: LocalCloud, manager: Caller, what: str
) -> None:
    project_id = created(manager)
    answer = ask(manager, project_id, what)

    assert answer.status_code == 409
    assert "provisioning" in answer.json()["detail"]
    assert "only while it is" in answer.json()["detail"]
    assert aws_calls(answer) == 2


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        ("active", {"suspend", "delete", "add"}),
        ("failed", {"retry", "delete", "add"}),
        ("suspended", {"resume", "delete"}),
        ("deleted", set()),
    ],
)
def test_each_status_allows_this_and_nothing_else(
    cloud: LocalCloud,
    manager: Caller,
    request: pytest.FixtureRequest,
    state: str,
    allowed: set[str],
) -> None:
    project_id = request.getfixturevalue("failed" if state == "failed" else "active")
    for what in {"suspended": ["suspend"], "deleted": ["delete"]}.get(state, []):
        ask(manager, project_id, what)
        cloud.run_until_idle()
    assert status(manager, project_id)["status"] == state
    user = {"user_ids": people(1, "customer", prefix="more")}

    for what in {"retry", "suspend", "resume", "delete", "add"} - allowed:
        answer = ask(manager, project_id, what)
        if what == "add":
            answer = manager.post(path(project_id, "users"), user)
        assert answer.status_code == 409, (what, answer.text)
    before = aws.rows("projects")
    cloud.run_until_idle()
    assert aws.rows("projects") == before


def test_a_retry_does_only_what_is_missing(
    cloud: LocalCloud, manager: Caller, failed: str, workflow: Workflow
) -> None:
    shown = status(manager, failed)
    assert "sync_users" in shown["error"]
    assert shown["progress"]["users"] == {"total": 3, "synced": 2, "failed": 1}
    kept = projects.credentials(failed)
    assert len(kept) == 2
    bad = [each for each, part in projects.participants(manager, failed).items() if part["error"]]
    make_good("projects", f"participant#{failed}#{bad[0]}")
    before = projects.provider_calls()
    assert ask(manager, failed, "retry").status_code == 202
    cloud.run_until_idle()

    shown = status(manager, failed)
    assert shown["status"] == "active"
    assert shown["error"] is None
    assert shown["progress"]["users"] == {"total": 3, "synced": 3, "failed": 0}
    assert projects.provider_calls() - before == 1 + 3  # the project, and one user
    assert {each: projects.credentials(failed)[each] for each in kept} == kept


def make_good(thing: str, sk: str) -> None:
    """The person's address asks for no trouble any more."""
    row = aws.rows(thing)[sk]
    aws.put_rows(thing, [{**row, "email": {"S": "good@example.com"}}])


def test_a_retry_that_fails_again_is_failed_again(
    cloud: LocalCloud, manager: Caller, failed: str
) -> None:
    for _ in range(2):
        assert ask(manager, failed, "retry").status_code == 202
        cloud.run_until_idle()
        assert status(manager, failed)["status"] == "failed"
        assert status(manager, failed)["progress"]["users"]["failed"] == 1


def test_of_many_retries_at_once_one_runs(cloud: LocalCloud, manager: Caller, failed: str) -> None:
    callers = [manager.in_a_session_of_its_own() for _ in range(5)]
    answers = at_once(*(partial(ask, each, failed, "retry") for each in callers))

    assert sorted(each.status_code for each in answers) == [202, 409, 409, 409, 409]
    cloud.run_until_idle()
    assert cloud.state()["executions"]["succeeded"] + cloud.state()["executions"]["failed"] == 2


def test_undoing_leaves_nothing_and_frees_the_name(
    cloud: LocalCloud, manager: Caller, active: str
) -> None:
    answer = ask(manager, active, "delete")
    assert answer.status_code == 202
    assert answer.json()["data"]["status"] == "deprovisioning"
    assert create(manager).status_code == 409
    cloud.run_until_idle()

    shown = status(manager, active)
    assert shown["status"] == "deleted"
    assert shown["progress"]["percent"] == 100
    assert projects.credentials(active) == {}
    assert {each["status"] for each in projects.participants(manager, active).values()} == {
        "removed"
    }
    assert create(manager).status_code == 201
    assert [mail.subject for mail in mailbox.sent()] == []


def test_undoing_is_for_the_versions_that_are_named(
    cloud: LocalCloud, manager: Caller, active: str
) -> None:
    tag = manager.get(path(active)).headers["ETag"]
    for stale in ('"v9999"', '"v9998", "v9999"', f"W/{tag}"):
        assert ask(manager, active, "delete", headers={"If-Match": stale}).status_code == 412
    assert status(manager, active)["status"] == "active"
    told = {"If-Match": f'"v9999", {tag}', "Idempotency-Key": "one"}
    answer = ask(manager, active, "delete", headers=told)

    assert answer.status_code == 202
    assert ask(manager, active, "delete", headers=told).content == answer.content
    cloud.run_until_idle()
    assert status(manager, active)["status"] == "deleted"


def test_undoing_a_project_that_failed_and_one_that_is_suspended(
    cloud: LocalCloud, manager: Caller, failed: str
) -> None:
    other = created(manager, "Birch")
    cloud.run_until_idle()
    ask(manager, other, "suspend")
    cloud.run_until_idle()
    for each in (failed, other):
        assert ask(manager, each, "delete").status_code == 202
    cloud.run_until_idle()

    assert [each["status"] for each in manager.listed("/admin/v1/projects")] == ["deleted"] * 2


def test_name_and_description_are_changed_and_the_earlier_name_is_free(
    cloud: LocalCloud, manager: Caller, active: str
) -> None:
    tag = manager.get(path(active)).headers["ETag"]
    changed = manager.patch(path(active), {"name": "Birch"}, headers={"If-Match": tag})

    assert changed.status_code == 200
    assert changed.json()["data"]["name"] == "Birch"
    assert manager.patch(path(active), {}, headers={"If-Match": tag}).status_code == 412
    assert create(manager, "BIRCH").status_code == 409
    second = created(manager, "Alder")
    assert manager.patch(path(second), {"name": "birch "}).status_code == 409
    assert manager.patch(path(second), {"name": " ALDER"}).status_code == 200
    assert manager.patch(path(second), {"description": "New"}).json()["data"]["name"] == " ALDER"


def test_a_status_says_when_to_ask_again_and_what_is_new(
    cloud: LocalCloud, manager: Caller
) -> None:
    project_id = created(manager)
    running = manager.get(path(project_id, "status"))
    tag = {"If-None-Match": running.headers["ETag"]}
    same = manager.get(path(project_id, "status"), headers=tag)
    assert running.headers["Retry-After"] == same.headers["Retry-After"] == "2"
    assert (same.status_code, same.content) == (304, b"")
    cloud.run_until_idle()

    ended = manager.get(path(project_id, "status"), headers=tag)
    assert ended.status_code == 200
    assert "Retry-After" not in ended.headers


@pytest.mark.parametrize("role", ["staff", "customer"])
def test_only_managers_and_admins_change_a_project(
    client: Client, manager: Caller, other: Caller, active: str, role: str
) -> None:
    told = {
        what: (
            ask(client.as_(role), active, what).status_code,
            ask(other, active, what).status_code,
            ask(manager, MISSING, what).status_code,
        )
        for what in ("retry", "suspend", "resume", "delete", "add")
    }

    assert told == dict.fromkeys(told, (403, 404, 404))


def test_the_page_is_a_shell_without_data_that_runs_only_its_own_script(
    client: Client, active: str
) -> None:
    page = client.send("GET", f"/projects/{active}")

    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.text.count(f'nonce="{nonce}"') == 2
    assert active not in page.text
    assert aws_calls(page) == 0
