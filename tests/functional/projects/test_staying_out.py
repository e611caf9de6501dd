"""Who takes part by default is settled once: a later run brings nobody in whom nobody asked for."""

from contextlib import ExitStack

import pytest

from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller
from tests.functional.http.store_calls import just_before
from tests.functional.projects import workflow as projects
from tests.functional.projects.troubles import ALWAYS, assert_whole
from tests.functional.projects.workflow import Crash, Workflow, created, path, people, status

ATTACH = "attach_participants"
A_PAGE = 90  #: people that one transaction of attaching looks at


@pytest.fixture
def who(cloud: LocalCloud) -> str:
    """A member of staff, who takes part by default."""
    return people(1)[0]


@pytest.fixture
def project(cloud: LocalCloud, manager: Caller, who: str) -> str:
    """An active project of which the member of staff was part."""
    made = created(manager, user_ids=people(1, "customer"))
    cloud.run_until_idle()
    assert who in projects.participants(manager, made)
    manager.delete(path(made, "users", who))
    cloud.run_until_idle()
    return made


def expire(project_id: str, person_id: str) -> None:
    """What DynamoDB does with a row whose time is over."""
    key = f"participant#{project_id}#{person_id}"
    assert "expires_at" in aws.rows("projects")[key]
    aws.delete_row("projects", key)


def fail(cloud: LocalCloud, manager: Caller, workflow: Workflow, project_id: str) -> None:
    """Somebody more is asked for, and the run comes to nothing."""
    workflow.trouble("sync_users", "crash before", ALWAYS)
    more = people(1, "customer", prefix="more")
    assert manager.post(path(project_id, "users"), {"user_ids": more}).status_code == 202
    cloud.run_until_idle()
    workflow.healed()
    assert status(manager, project_id)["status"] == "failed"


@pytest.mark.parametrize("what", ["retry", "add"])
def test_who_was_removed_stays_out_when_nothing_remembers_them_any_more(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, project: str, who: str, what: str
) -> None:
    expire(project, who)
    fail(cloud, manager, workflow, project)
    if what == "retry":
        manager.post(path(project, "retry"))
    else:
        manager.post(path(project, "users"), {"user_ids": people(1, "customer", prefix="last")})
    cloud.run_until_idle()

    shown = status(manager, project)
    assert shown["status"] == "active"
    assert shown["progress"]["users"]["synced"] == (2 if what == "retry" else 3)
    assert who not in projects.participants(manager, project)
    assert who not in projects.credentials(project)


def test_who_was_removed_and_forgotten_comes_back_when_asked_for(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, project: str, who: str
) -> None:
    expire(project, who)
    fail(cloud, manager, workflow, project)
    manager.post(path(project, "users"), {"user_ids": [who]})
    cloud.run_until_idle()

    assert status(manager, project)["status"] == "active"
    assert projects.participants(manager, project)[who]["status"] == "synced"


def test_who_joined_the_tenant_since_is_not_brought_in_by_a_retry(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, project: str
) -> None:
    (newcomer,) = people(1, prefix="newcomer")
    fail(cloud, manager, workflow, project)
    manager.post(path(project, "retry"))
    cloud.run_until_idle()

    assert status(manager, project)["status"] == "active"
    assert newcomer not in projects.participants(manager, project)


def test_a_retry_goes_on_where_attaching_was_broken_off(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    first, _, last = people(1), people(A_PAGE, "customer"), people(1, prefix="last")
    project_id = created(manager)

    def die() -> None:
        workflow.trouble(ATTACH, "crash before", ALWAYS)
        raise Crash

    with ExitStack() as calls:

        def a_page_is_done() -> None:
            calls.enter_context(just_before("TransactWriteItems", die))

        a_page = just_before("TransactWriteItems", a_page_is_done)
        workflow.before(ATTACH, lambda: calls.enter_context(a_page))
        cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "failed"
    assert set(projects.participants(manager, project_id)) == set(first)
    workflow.healed()
    manager.post(path(project_id, "retry"))
    cloud.run_until_idle()

    assert_whole(manager, project_id, [*first, *last])


def test_an_attempt_that_comes_late_does_not_take_attaching_back(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    people(A_PAGE + 5, "customer")
    project_id = created(manager)
    seen: list[str] = []

    def look() -> None:
        seen.append(aws.rows("projects")[f"project#{project_id}"]["attached_to"]["S"])

    with ExitStack() as calls:

        def the_other_attempt_does_it_all() -> None:
            workflow._function(workflow.calls[-1], None)
            look()
            calls.enter_context(just_before("GetItem", look))

        late = just_before("TransactWriteItems", the_other_attempt_does_it_all)
        workflow.before(ATTACH, lambda: calls.enter_context(late))
        cloud.run_until_idle()

    assert len(seen) == 2
    assert seen[0] == seen[1]


@pytest.mark.parametrize("fails", [False, True])
def test_who_is_removed_after_they_were_asked_for_once_more_is_out(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, active: str, *, fails: bool
) -> None:
    """Whether the removal comes while the run is at work, or after it has failed."""
    who, *others = projects.participants(manager, active)
    if fails:
        workflow.trouble("ensure_project", "crash before", ALWAYS)
    manager.post(path(active, "users"), {"user_ids": [who, *others]})
    if fails:
        cloud.run_until_idle()
        workflow.healed()
        assert status(manager, active)["status"] == "failed"
    assert manager.delete(path(active, "users", who)).status_code == 202
    cloud.run_until_idle()

    shown = status(manager, active)
    assert shown["status"] == "active"
    assert shown["progress"]["users"] == {"total": 2, "synced": 2, "failed": 0}
    assert projects.participants(manager, active)[who]["status"] == "removed"
    assert who not in projects.credentials(active)


def test_who_is_asked_for_again_after_they_were_removed_is_in(
    cloud: LocalCloud, manager: Caller, active: str
) -> None:
    """All of it waits for the same run."""
    who = next(iter(projects.participants(manager, active)))
    for _ in range(2):
        manager.post(path(active, "users"), {"user_ids": [who]})
        manager.delete(path(active, "users", who))
    manager.post(path(active, "users"), {"user_ids": [who]})
    cloud.run_until_idle()

    assert status(manager, active)["status"] == "active"
    assert projects.participants(manager, active)[who]["status"] == "synced"
    assert set(projects.credentials(active)) == set(projects.participants(manager, active))
