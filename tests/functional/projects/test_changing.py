"""What can be asked of a project: retry, suspend, resume, undo, users; and who may see it."""

from functools import partial
from typing import Any

import pytest

from infra.local import outbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client, at_once, aws_calls
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import Workflow, create, created, path, people, status

MISSING = "01m81vfpqa4g492km3ew3kvx3r"
CHANGES = ("retry", "suspend", "resume")


def ask(caller: Caller, project_id: str, what: str, **options: Any) -> Answer:
    if what == "delete":
        return caller.delete(path(project_id), **options)
    if what == "add":
        return caller.post(path(project_id, "users"), {"user_ids": [MISSING]}, **options)
    return caller.post(path(project_id, what), **options)


@pytest.fixture
def active(cloud: LocalCloud, manager: Caller) -> str:
    """An active project with three users."""
    project_id = created(manager, user_ids=people(3, "customer"))
    cloud.run_until_idle()
    return project_id


@pytest.fixture
def failed(cloud: LocalCloud, manager: Caller) -> str:
    """A project with three users, of whom one was refused."""
    good, bad = people(2, "customer"), people(1, "customer", prefix="refused@example.com")
    project_id = created(manager, user_ids=[*good, *bad])
    cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "failed"
    return project_id


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
    assert "possible while it is" in answer.json()["detail"]
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
    assert [mail.subject for mail in outbox.sent()] == []


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
    cloud: LocalCloud, manager: Caller, workflow: Workflow, step: str
) -> None:
    ids = people(3, "customer")
    project_id = created(manager, user_ids=ids)
    cloud.run_until_idle()
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


def joined(client: Client, email: str, role: str = "customer") -> tuple[str, Caller]:
    """A user of t1 and the API as they see it after their first login."""
    (person,) = people(1, role, prefix=email)
    caller = client.as_(role, sub=f"sub-of-{email}", email=email, email_verified=True)
    return person, caller


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


@pytest.mark.parametrize("what", ["retry", "suspend", "resume", "delete", "add"])
@pytest.mark.parametrize("role", ["staff", "customer"])
def test_only_managers_and_admins_change_a_project(
    client: Client, manager: Caller, other: Caller, active: str, role: str, what: str
) -> None:
    assert ask(client.as_(role), active, what).status_code == 403
    assert ask(other, active, what).status_code == 404
    assert ask(manager, MISSING, what).status_code == 404


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
