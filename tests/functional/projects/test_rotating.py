"""Rotating a user's credential: a new one is made and proved, and only then the old one ends."""

from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Caller, Client
from tests.functional.http.store_calls import Killed, killed_at
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import MISSING, Workflow, created, path, people, status


def rotation(project_id: str, person_id: str) -> str:
    return path(project_id, "users", person_id, "rotate-credential")


def kept(project_id: str, person_id: str) -> dict[str, Any]:
    row = projects.credentials(project_id)[person_id]
    return {name: next(iter(value.values())) for name, value in row.items()}


def assert_rotated(project_id: str, person_id: str, before: dict[str, Any]) -> None:
    """Another credential has the place of the old one, and nothing is left over."""
    after = kept(project_id, person_id)
    assert after["credential_id"] != before["credential_id"]
    assert after["sealed"] != before["sealed"]
    assert after["turn"] == str(int(before["turn"]) + 1)
    assert not {"next_id", "next_sealed", "old_id"} & set(after)


@pytest.fixture
def who(cloud: LocalCloud) -> str:
    return people(1, "customer")[0]


@pytest.fixture
def project(cloud: LocalCloud, manager: Caller, who: str) -> str:
    made = created(manager, user_ids=[who, *people(1, "customer", prefix="c")])
    cloud.run_until_idle()
    return made


def test_a_rotation_makes_a_new_credential_and_ends_the_old_one(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    before, others = kept(project, who), projects.credentials(project)
    answer = manager.post(rotation(project, who))
    assert answer.status_code == 202, answer.text
    assert answer.json()["data"]["status"] == "provisioning"
    cloud.run_until_idle()

    assert_rotated(project, who, before)
    assert status(manager, project)["status"] == "active"
    del others[who]
    assert others.items() <= projects.credentials(project).items()


def test_a_request_that_is_sent_again_rotates_once(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    before, key = kept(project, who), {"Idempotency-Key": "rotate-1"}
    first = manager.post(rotation(project, who), headers=key)
    cloud.run_until_idle()
    again = manager.post(rotation(project, who), headers=key)
    cloud.run_until_idle()

    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert_rotated(project, who, before)


def test_while_a_run_is_under_way_there_is_no_rotation(
    cloud: LocalCloud, manager: Caller, project: str, who: str
) -> None:
    before = kept(project, who)
    assert manager.post(rotation(project, who)).status_code == 202
    assert manager.post(rotation(project, who)).status_code == 409
    cloud.run_until_idle()
    assert_rotated(project, who, before)
    manager.post(path(project, "suspend"))
    cloud.run_until_idle()
    assert manager.post(rotation(project, who)).status_code == 409


def test_who_takes_no_part_has_nothing_to_rotate(
    cloud: LocalCloud, manager: Caller, other: Caller, project: str, who: str
) -> None:
    assert manager.post(rotation(project, MISSING)).status_code == 404
    assert other.post(rotation(project, who)).status_code == 404
    manager.delete(path(project, "users", who))
    cloud.run_until_idle()
    assert manager.post(rotation(project, who)).status_code == 404


def test_only_managers_rotate(client: Client, cloud: LocalCloud, project: str, who: str) -> None:
    for role in ("staff", "customer"):
        assert client.as_(role).post(rotation(project, who)).status_code == 403


@pytest.mark.parametrize(
    "trouble", ["crash before", "crash after", "answer lost and repeated", "twice at once"]
)
def test_a_rotation_that_is_interrupted_or_doubled_comes_to_one_credential(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, project: str, who: str, trouble: Any
) -> None:
    before = kept(project, who)
    manager.post(rotation(project, who))
    workflow.trouble("sync_users", trouble)
    cloud.run_until_idle()

    assert not workflow.unmet
    assert_rotated(project, who, before)


def test_who_is_removed_and_added_again_before_it_was_done_gets_another_secret(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, project: str, who: str
) -> None:
    before = kept(project, who)

    def come_back() -> None:
        assert manager.post(path(project, "users"), {"user_ids": [who]}).status_code == 202

    workflow.before("attach_participants", come_back)
    manager.delete(path(project, "users", who))
    cloud.run_until_idle()

    assert_rotated(project, who, before)


@pytest.mark.parametrize("what", [(), ("status",)])
def test_a_project_is_read_by_its_identifier(
    cloud: LocalCloud, manager: Caller, other: Caller, client: Client, project: str, what: Any
) -> None:
    name = manager.get(path(project)).json()["data"]["identifier"]
    by_id, by_name = manager.get(path(project, *what)), manager.get(path(name, *what))
    assert (by_name.status_code, by_name.json()["data"]) == (200, by_id.json()["data"])
    assert other.get(path(name, *what)).status_code == 404
    assert client.as_("customer").get(path(name, *what)).status_code == 404
    assert manager.get(path("no-such-12345678", *what)).status_code == 404
    manager.delete(path(project))
    cloud.run_until_idle()
    assert manager.get(path(name, *what)).json()["data"]["status"] == "deleted"


@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize("nth", range(1, 4))
def test_a_crash_at_any_write_leaves_a_credential_that_works(
    cloud: LocalCloud, manager: Caller, project: str, who: str, nth: int, when: Any
) -> None:
    from chalicelib.projects import models
    from chalicelib.projects.workflow import user_sync

    before = kept(project, who)
    manager.post(rotation(project, who))
    found = models.get_project("t1", project)
    assert found is not None
    with killed_at("TransactWriteItems", nth, when) as process, pytest.raises(Killed):
        user_sync.sync(found, "", "~", float("inf"))
    assert process.dead
    named = kept(project, who)["credential_id"]
    cloud.run_until_idle()

    assert_rotated(project, who, before)
    assert named in {before["credential_id"], kept(project, who)["credential_id"]}
