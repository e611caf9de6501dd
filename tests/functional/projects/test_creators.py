"""Projects of logins that are no users, and of such as are users no more."""

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Caller, Client
from tests.functional.people.invitations import newest_token
from tests.functional.people.test_access import accept_signed_in, invited, path_of
from tests.functional.projects.workflow import created, path, status

pytestmark = pytest.mark.local
DESK = {"email": "desk@example.com", "email_verified": True}


@pytest.fixture
def machine(cloud: LocalCloud, client: Client) -> Caller:
    from chalicelib.people import access

    access.bind_machine("t1", "ci", "manager")
    return client.as_("manager", sub="ci")


def test_a_project_of_a_machine_becomes_active(
    cloud: LocalCloud, manager: Caller, machine: Caller
) -> None:
    project_id = created(machine)
    cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "active"


def test_the_reconciler_ends_a_machines_run_and_all_others(
    cloud: LocalCloud, manager: Caller, other: Caller, machine: Caller
) -> None:
    faults.add(Fault("states", "StartExecution", "throttle", times=None))
    of_machine = created(machine)
    others = [created(other, f"Other {number}") for number in range(4)]
    cloud.run_until_idle()
    for _ in range(10):
        cloud.advance(60)
        cloud.run_until_idle()
    assert status(manager, of_machine)["status"] == "failed"
    assert {status(other, project_id)["status"] for project_id in others} == {"failed"}


def test_one_project_that_cannot_be_looked_at_does_not_hold_up_the_others(
    cloud: LocalCloud, manager: Caller, other: Caller
) -> None:
    """A row that no release can read stands for every error that nobody thought of."""
    from chalicelib.projects import models

    faults.add(Fault("states", "StartExecution", "throttle", times=None))
    broken = created(manager)
    fine = created(other)
    cloud.run_until_idle()
    row = models.get_project("t1", broken)
    assert row is not None
    row.update([models.Project.started_at.set("long ago")])
    for _ in range(10):
        cloud.advance(60)
        cloud.run_until_idle()
    assert status(other, fine)["status"] == "failed"


@pytest.mark.usefixtures("as_on_a_stage")
def test_a_login_that_has_ended_sees_no_project_of_its_former_user(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    ann = invited(cloud, root, "customer", name="Ann", email=DESK["email"])
    old = client.as_("customer", sub="old", **DESK)
    assert accept_signed_in(old, newest_token("desk@example.com")).status_code == 200
    project_id = created(root, user_ids=[ann["id"]])
    cloud.run_until_idle()
    assert old.get(path(project_id)).status_code == 200

    # Ann gets an address of her own, which ends the login; the old address goes to Ben.
    assert root.patch(path_of(root, "desk"), {"email": "ann@example.com"}).status_code == 200
    invited(cloud, root, "customer", name="Ben", email=DESK["email"])
    ben = client.as_("customer", sub="ben")
    assert accept_signed_in(ben, newest_token("desk@example.com")).status_code == 200
    cloud.advance(61)
    fresh = client.as_("customer", sub="old", jti="fresh", **DESK)
    assert ben.get(path(project_id)).status_code == 404
    assert fresh.get(path(project_id)).status_code == 404
    assert fresh.get("/admin/v1/projects").json()["data"] == []
