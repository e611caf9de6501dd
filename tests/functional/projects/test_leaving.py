"""Who leaves the tenant or changes there does so in their projects: at the provider, by themselves.

A request saves the change and one job; the job and a run of each project do the rest.
"""

from functools import partial
from typing import Any

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Answer, Caller, aws_calls
from tests.functional.http.store_calls import killed_at
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import Workflow, created, path, people, status

JOB = "projects.follow_person"


def user(person_id: str) -> str:
    return f"/admin/v1/users/{person_id}"


def part(project_id: str, person_id: str, tenant: str = "t1") -> dict[str, Any]:
    """The row of somebody's part, its values as text."""
    row = aws.rows("projects", tenant)[f"participant#{project_id}#{person_id}"]
    return {name: next(iter(value.values())) for name, value in row.items()}


def runs(project_id: str, tenant: str = "t1") -> int:
    return int(aws.rows("projects", tenant)[f"project#{project_id}"]["run"]["N"])


def assert_gone(manager: Caller, project_id: str, who: str, *, left: int) -> None:
    """Their role and credential are taken away, and the project is active with those left."""
    shown = status(manager, project_id)
    assert (shown["status"], shown["error"]) == ("active", None)
    assert shown["progress"]["users"] == {"total": left, "synced": left, "failed": 0}
    found = projects.participants(manager, project_id)[who]
    assert (found["status"], found["leaving"]) == ("removed", True)
    assert who not in projects.credentials(project_id)
    assert len(projects.credentials(project_id)) == left


@pytest.fixture
def who(cloud: LocalCloud) -> str:
    """A member of staff."""
    return people(1)[0]


@pytest.fixture
def project(cloud: LocalCloud, manager: Caller, who: str) -> str:
    """An active project with the member of staff and two customers."""
    made = created(manager, user_ids=people(2, "customer", prefix="c"))
    cloud.run_until_idle()
    assert part(made, who)["state"] == "synced"
    return made


def test_whoever_is_deactivated_loses_role_and_credential(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    before = projects.provider_calls()
    assert manager.delete(user(who)).status_code == 200
    cloud.run_until_idle()

    assert_gone(manager, project, who, left=2)
    assert projects.provider_calls() - before == 1 + 2  # the project; the credential and the role
    assert runs(project) == 2
    assert manager.the_job(type=JOB)["status"] == "done"


def test_it_costs_the_request_two_calls_of_the_store_and_the_push(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    manager.get(user(who))
    for name, send, pushes in (
        ("phone", partial(manager.patch, user(who), {"phone": "+4915112345678"}), 0),
        ("role", partial(manager.patch, user(who), {"role": "customer"}), 1),
        ("end", partial(manager.delete, user(who)), 1),
    ):
        faults.clear()
        answer: Answer = send()
        made = {call: tries["through"] for call, tries in faults.counts().items()}
        wanted = {"dynamodb.GetItem": 1, "dynamodb.TransactWriteItems": 1}
        assert made == wanted | ({"sqs.SendMessageBatch": 1} if pushes else {}), name
        assert aws_calls(answer) == 2 + pushes


def test_a_push_that_is_lost_is_made_up_for(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    faults.add(faults.Fault("sqs", "SendMessageBatch", "refuse", times=None))
    assert manager.delete(user(who)).status_code == 200
    faults.clear()
    cloud.run_until_idle()
    assert part(project, who)["wanted"] == "member"
    cloud.advance(121)
    cloud.run_until_idle()

    assert_gone(manager, project, who, left=2)


@pytest.mark.parametrize(
    ("role", "given"), [("manager", "admin"), ("customer", "reader"), ("staff", "member")]
)
def test_a_new_role_is_the_one_of_the_rule_in_every_project(
    cloud: LocalCloud, manager: Caller, project: str, who: str, role: str, given: str
) -> None:
    assert manager.patch(user(who), {"role": role}).status_code == 200
    cloud.run_until_idle()

    assert projects.participants(manager, project)[who]["role"] == given
    shown = status(manager, project)
    assert shown["status"] == "active"
    assert shown["progress"]["users"] == {"total": 3, "synced": 3, "failed": 0}
    assert runs(project) == (1 if role == "staff" else 2)


def test_a_new_name_is_kept_and_costs_no_run(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    manager.patch(user(who), {"name": "Bob"})
    cloud.run_until_idle()

    assert projects.participants(manager, project)[who]["name"] == "Bob"
    assert (runs(project), part(project, who)["state"]) == (1, "synced")


def test_every_project_is_left_and_another_tenants_is_untouched(
    cloud: LocalCloud, manager: Caller, other: Caller, project: str, who: str
) -> None:
    second = created(manager, "Birch", user_ids=[who])
    (theirs_id,) = people(1, tenant="t2")
    theirs = created(other, user_ids=[theirs_id])
    cloud.run_until_idle()
    before = aws.rows("projects", "t2")
    assert other.delete(user(who)).status_code == 404
    manager.delete(user(who))
    cloud.run_until_idle()

    assert_gone(manager, project, who, left=2)
    assert_gone(manager, second, who, left=0)
    assert aws.rows("projects", "t2") == before
    assert part(theirs, theirs_id, "t2")["state"] == "synced"


def test_who_has_no_project_costs_no_run(cloud: LocalCloud, manager: Caller, project: str) -> None:
    (nobody,) = people(1, "customer", prefix="nobody")
    before = aws.rows("projects")
    manager.delete(user(nobody))
    cloud.run_until_idle()

    assert aws.rows("projects") == before
    assert manager.the_job(type=JOB)["status"] == "done"


@pytest.mark.parametrize("when", ["before-call", "after-call"])
def test_a_worker_killed_between_two_projects_is_taken_over(
    cloud: LocalCloud, manager: Caller, project: str, who: str, when: Any
) -> None:
    second = created(manager, "Birch", user_ids=[who])
    cloud.run_until_idle()
    manager.delete(user(who))
    with killed_at("TransactWriteItems", 2, when) as process:
        cloud.run_until_idle()
    assert process.dead
    for _ in range(4):  # its leases end, and the sweep brings its jobs back
        cloud.advance(61)
        cloud.run_until_idle()

    assert_gone(manager, project, who, left=2)
    assert_gone(manager, second, who, left=0)
    assert (runs(project), runs(second)) == (2, 2)


def test_jobs_out_of_order_and_repeated_come_to_the_same(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    from chalicelib.kernel.jobs.outbox import Transaction

    people(1, "manager", prefix="boss")  # the last one would stay a manager
    for change in ({"role": "manager"}, {"role": "customer"}):
        manager.patch(user(who), change)
    (last, first) = aws.take_messages("work")
    for message in (first, last, first):
        aws.put_message("work", message)
    cloud.run_until_idle()
    with Transaction("t1") as tx:
        tx.enqueue(JOB, person_id=who)
    cloud.run_until_idle()

    assert part(project, who)["role"] == "reader"
    assert runs(project) == 2


def test_a_job_without_time_leaves_the_other_projects_to_another_one(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    from chalicelib.projects.workflow import profile_sync

    more = [created(manager, f"Project {number}", user_ids=[who]) for number in range(2)]
    cloud.run_until_idle()
    manager.delete(user(who))
    aws.take_messages("work")
    profile_sync.sync_person("t1", who, "", lambda: False)
    assert [part(each, who)["wanted"] for each in (project, *more)] == ["gone", "member", "member"]
    cloud.run_until_idle()

    for each, left in ((project, 2), (more[0], 0), (more[1], 0)):
        assert_gone(manager, each, who, left=left)


def test_who_was_removed_by_hand_stays_removed_and_comes_back_as_they_are_by_then(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    manager.delete(path(project, "users", who))
    cloud.run_until_idle()
    before = runs(project)
    manager.patch(user(who), {"role": "manager", "name": "Bob"})
    cloud.run_until_idle()
    assert (part(project, who)["state"], runs(project)) == ("removed", before)
    manager.post(path(project, "users"), {"user_ids": [who]})
    cloud.run_until_idle()

    found = part(project, who)
    assert (found["state"], found["role"], found["name"]) == ("synced", "admin", "Bob")


@pytest.mark.parametrize("step", ["attach_participants", "list_batches", "sync_users", "finish"])
def test_who_leaves_while_a_project_is_being_made_is_out_when_it_is_active(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, who: str, step: str
) -> None:
    making = created(manager, user_ids=people(2, "customer", prefix="c"))
    (queue,) = [each for each in cloud.mappings if each.queue_name.endswith("-work")]

    def leave() -> None:
        manager.delete(user(who))
        assert queue.poll_once(cloud._sqs)

    workflow.before(step, leave)
    cloud.run_until_idle()

    assert status(manager, making)["progress"]["users"] == {"total": 2, "synced": 2, "failed": 0}
    assert status(manager, making)["status"] == "active"
    assert who not in projects.credentials(making)
    assert runs(making) == 1


def test_who_leaves_after_they_were_read_and_before_they_are_a_participant_is_not_let_in(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, who: str
) -> None:
    """Their job finds no project: the step that attaches them ends after it."""
    making = created(manager)

    def leave() -> None:
        manager.delete(user(who))
        (message,) = [each for each in aws.take_messages("work") if JOB in each]
        aws.delete_row("kernel", f"job#{aws.jobs_named_by([message])[0]}")

    workflow.before("list_batches", leave)
    cloud.run_until_idle()

    assert_gone(manager, making, who, left=0)


def test_a_suspended_project_catches_up_when_it_is_resumed(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    manager.post(path(project, "suspend"))
    cloud.run_until_idle()
    manager.delete(user(who))
    cloud.run_until_idle()
    assert (status(manager, project)["status"], runs(project)) == ("suspended", 1)
    assert projects.participants(manager, project)[who]["leaving"]
    manager.post(path(project, "resume"))
    cloud.run_until_idle()

    assert_gone(manager, project, who, left=2)


def test_a_project_that_is_undone_is_left_alone(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    manager.delete(path(project))
    manager.delete(user(who))
    cloud.run_until_idle()

    assert status(manager, project)["status"] == "deleted"
    assert projects.credentials(project) == {}
    assert runs(project) == 2
