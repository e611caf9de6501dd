"""A stage goes from the release before to this one, and back, with its data and waiting jobs.

One ministack and one API all the way: the release before, this one over it, the release before
again. Queues rest while jobs are to wait, as in an outage; their mappings are switched off.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import seals

from .conftest import Issuer, make_tenant
from .ministack import Ministack, install, wait_for
from .missing import Missing
from .package import PROJECT
from .releases import BEFORE, checked_out
from .upgrading import JOB_SECONDS, Upgrading, Written

KEY = {"Idempotency-Key": "one-invitation"}
ANN = {"name": "Ann", "email": "ann@example.com", "role": "staff"}


@pytest.fixture(scope="module")
def stage(issuer: Issuer) -> Iterator[Upgrading]:
    install()
    ministack = Ministack.start()
    proxy = Missing(ministack)
    try:
        yield Upgrading(ministack, proxy, issuer)
    finally:
        proxy.stop()
        ministack.stop()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before, as a folder."""
    return checked_out(BEFORE, tmp_path_factory.mktemp("before"))


@dataclass(frozen=True)
class Left:
    """What was there when a release gave way to the next."""

    work: Written
    lists: dict[str, dict[str, Any]]
    tables: dict[str, Any]
    first_answer: Any  #: to the request with KEY


@pytest.fixture(scope="module")
def by_the_release_before(stage: Upgrading, before: Path) -> Left:
    stage.deploy(project=before)
    make_tenant(stage.ministack)
    first = stage.invite(ANN, **KEY)
    wait_for("mail to Ann", lambda: stage.mail_to(ANN["email"]), JOB_SECONDS)
    stage.worked_off(stage.leave_work("abe"))
    abe = {"email": "abe@example.com", "email_verified": True}
    assert stage.users_seen_by("abe-1", **abe) == 200  # which binds the login
    stage.keep_password("before", "of the release before")
    stage.rest(at_rest=True)
    work = stage.leave_work("bea")
    return Left(work, stage.lists(), stage.table_ids(), first.json())


@pytest.fixture(scope="module")
def upgraded(stage: Upgrading, by_the_release_before: Left) -> Left:
    stage.deploy()
    return by_the_release_before


def test_the_tables_of_the_release_before_are_kept_and_their_rows_are_read(
    stage: Upgrading, upgraded: Left
) -> None:
    now = stage.table_ids()
    assert {name: now.get(name) for name in upgraded.tables} == upgraded.tables
    for name, rows in stage.lists().items():
        assert rows.keys() == upgraded.lists[name].keys(), name
        for row_id, row in upgraded.lists[name].items():
            assert rows[row_id].items() >= _lasting(row).items()


def test_its_idempotency_key_replays_its_answer(stage: Upgrading, upgraded: Left) -> None:
    again = stage.invite(ANN, **KEY)

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == upgraded.first_answer


def test_its_logins_are_known_and_have_the_weaker_role(stage: Upgrading, upgraded: Left) -> None:
    """Abe is staff, whatever the token says; a login of nobody is only reported at first."""
    assert stage.users_seen_by("abe-1") == 403
    assert stage.users_seen_by("nobody") == 200


def test_its_open_invitation_can_be_accepted(stage: Upgrading, upgraded: Left) -> None:
    link = re.search(r"http\S+", stage.mail_to(ANN["email"]) or "")
    assert link is not None
    assert stage.running.call("GET", link[0]).status == 200
    token = link[0].partition("token=")[2]

    # Signed in, without an e-mail address in the token: this binds the login.
    signed_in, body = stage.token("ann-1"), {"token": token}
    accepted = stage.running.call("POST", "/v1/invitations/accept", body, token=signed_in)

    assert accepted.status == 200, accepted.data
    assert accepted.json()["data"]["status"] == "active"


def test_its_waiting_jobs_run_in_this_release(stage: Upgrading, upgraded: Left) -> None:
    stage.rest(at_rest=False)
    assert_all_is_done(stage, upgraded.work, "bea")


def test_its_secrets_are_opened_by_this_release_and_stay_as_they_are(
    stage: Upgrading, upgraded: Left
) -> None:
    forms = stage.forms()
    assert {key.partition("#")[0] for key in forms} == {"region", "credential"}

    assert stage.secrets(PROJECT)["region#openstack#before"] == "of the release before"
    assert seals.WAITS in stage.running.deploying
    assert stage.forms() == forms
    assert set(forms.values()) == {1}


@pytest.fixture(scope="module")
def returned(stage: Upgrading, upgraded: Left, before: Path) -> Left:
    """This release leaves work behind, and the release before comes back."""
    stage.rest(at_rest=False)
    stage.worked_off(upgraded.work)
    stage.keep_password("after", "of this release")
    stage.rest(at_rest=True)
    work = stage.leave_work("cleo")
    left = Left(work, stage.lists(), stage.table_ids(), stage.invite(ANN, **KEY).json())
    stage.go_back_to(before)
    return left


def test_the_release_before_reads_what_this_one_wrote(stage: Upgrading, returned: Left) -> None:
    lists = stage.lists()
    for name, rows in returned.lists.items():
        assert lists[name].keys() == rows.keys(), name
    assert lists["users"][returned.work.user["id"]]["email"] == "cleo@example.com"
    assert lists["projects"][returned.work.project["id"]]["name"] == "Project of cleo"
    assert stage.read(f"/v1/batches/{returned.work.batch_id}")["total"] == 1
    assert stage.invite(ANN, **KEY).json() == returned.first_answer


def test_the_release_before_knows_the_logins_that_this_one_bound(
    stage: Upgrading, returned: Left
) -> None:
    """Ann takes part in the projects of the tenant, and sees them as the user that she is."""
    assert stage.projects_seen_by("ann-1")
    assert stage.projects_seen_by("nobody") == []


def test_the_release_before_runs_the_jobs_that_this_one_left(
    stage: Upgrading, returned: Left
) -> None:
    stage.rest(at_rest=False)
    assert_all_is_done(stage, returned.work, "cleo")


def test_the_release_before_opens_what_this_one_sealed(
    stage: Upgrading, before: Path, returned: Left
) -> None:
    secrets = stage.secrets(before)

    assert secrets["region#openstack#before"] == "of the release before"
    assert secrets["region#openstack#after"] == "of this release"
    projects = {key.split("#")[1] for key in secrets if key.startswith("credential#")}
    assert len(projects) >= 2, "one was made by this release, one by the release before"


def test_the_second_deployment_of_this_release_seals_anew(stage: Upgrading, returned: Left) -> None:
    stage.deploy()
    assert seals.WAITS in stage.running.deploying
    stage.keep_password("after", "of this release, still in form 1")
    assert set(stage.forms().values()) == {1}

    stage.deploy()
    assert seals.WAITS not in stage.running.deploying
    stage.keep_password("after", "of this release, in form 2")
    assert stage.forms()["region#openstack#after"] == 2
    secrets = stage.secrets(PROJECT)
    assert secrets["region#openstack#before"] == "of the release before"
    assert secrets["region#openstack#after"] == "of this release, in form 2"
    assert stage.forms()["region#openstack#before"] == 2, "sealed anew at its first use"


def assert_all_is_done(stage: Upgrading, work: Written, name: str) -> None:
    ended = stage.worked_off(work)
    assert (ended["batch"]["done"], ended["batch"]["failed"]) == (1, 0), ended
    assert ended["project"]["status"] == "active", ended
    users = {each["email"] for each in stage.lists()["users"].values()}
    assert {f"{name}@example.com", f"row-of-{name}@example.com"} <= users


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    """What of a row no later job changes."""
    return {name: row[name] for name in ("name", "email", "type", "created_at") if name in row}
