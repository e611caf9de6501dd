"""The last manager stays, deactivated users may return, and a user may get another address."""

from functools import partial
from typing import Any

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests import settings
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client, at_once, aws_calls
from tests.functional.people.invitations import by_api, newest_token

USERS = "/admin/v1/users"


def created(cloud: LocalCloud, by: Caller, name: str, **values: Any) -> str:
    """The path of a new user, who is invited."""
    answer = by.create_user(name, email=f"{name}@example.com", **values)
    assert answer.status_code == 201, answer.text
    cloud.run_until_idle()
    return f"{USERS}/{answer.json()['data']['user']['id']}"


def active(cloud: LocalCloud, client: Client, by: Caller, name: str, **values: Any) -> str:
    """The path of a new user, who has accepted."""
    path = created(cloud, by, name, **values)
    assert by_api(client, newest_token(f"{name}@example.com")).status_code == 200
    return path


def status_of(by: Caller, path: str) -> str:
    return str(by.get(path).json()["data"]["status"])


# The last manager --------------------------------------------------------------------------------


@pytest.mark.parametrize("run", range(3))
def test_of_two_managers_who_end_each_other_at_once_one_stays(
    cloud: LocalCloud, client: Client, manager: Caller, run: int
) -> None:
    paths = [active(cloud, client, manager, name, role="manager") for name in ("ann", "bob")]

    sessions = [manager.in_a_session_of_its_own() for _ in paths]
    calls = [partial(each.delete, path) for each, path in zip(sessions, paths, strict=True)]
    answers = at_once(*calls)

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert sorted(status_of(manager, path) for path in paths) == ["active", "deactivated"]


@pytest.mark.parametrize("who", ["manager", "admin"])
def test_the_last_active_manager_is_neither_ended_nor_demoted(
    cloud: LocalCloud, client: Client, manager: Caller, admin: Caller, who: str
) -> None:
    caller = {"manager": manager, "admin": admin}[who]
    last = active(cloud, client, manager, "ann", role="manager")
    created(cloud, manager, "bob", role="manager")  # has not accepted
    active(cloud, client, manager, "cleo", role="staff")

    for answer in (caller.delete(last), caller.patch(last, {"role": "staff"})):
        assert answer.status_code == 409
        assert "last active manager" in answer.json()["detail"]
    assert caller.patch(last, {"name": "Ann", "role": "manager"}).status_code == 200

    active(cloud, client, manager, "dora", role="manager")
    answer = caller.patch(last, {"role": "staff"})
    assert answer.status_code == 200
    assert aws_calls(answer) <= 4


def test_the_address_of_the_last_active_manager_is_changed_by_admins_only(
    cloud: LocalCloud, client: Client, manager: Caller, admin: Caller
) -> None:
    """With a mistake in it nobody of the tenant could enter any more."""
    last = active(cloud, client, manager, "ann", role="manager")
    answer = manager.patch(last, {"email": "typo@example.com"})
    assert answer.status_code == 409
    assert "last active manager" in answer.json()["detail"]
    assert status_of(manager, last) == "active"
    assert admin.patch(last, {"email": "right@example.com"}).status_code == 200


# Returning ---------------------------------------------------------------------------------------


def test_who_returns_is_told_and_has_their_role_and_login_as_before(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    path = active(cloud, client, manager, "ann", role="staff")
    login = {"sub": "ann", "email": "ann@example.com", "email_verified": True}
    assert client.as_("staff", **login).get("/v1/batches/none").status_code == 404
    manager.delete(path)
    cloud.advance(61)
    assert client.as_("staff", **login).get("/v1/batches/none").status_code == 403

    answer = manager.post(f"{path}/reactivate")
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == manager.get(path).json()["data"]
    assert answer.json()["data"]["status"] == "active"
    assert answer.headers["ETag"] == manager.get(path).headers["ETag"]
    assert client.as_("staff", sub="ann").get("/v1/batches/none").status_code == 404

    cloud.run_until_idle()
    assert mailbox.sent(to="ann@example.com")[-1].subject == (
        "Your account at Alder Books is active again"
    )
    assert manager.post(f"{path}/reactivate").status_code == 409


def test_who_had_not_accepted_returns_by_a_new_invitation(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    path = created(cloud, manager, "ann")
    earlier = newest_token()
    manager.delete(path)

    assert manager.post(f"{path}/reactivate").json()["data"]["status"] == "invited"
    cloud.run_until_idle()
    assert by_api(client, earlier).status_code == 404
    assert by_api(client, newest_token()).status_code == 200


def test_a_user_whom_an_earlier_release_deactivated_returns_too(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    from chalicelib.people import models

    path = active(cloud, client, manager, "ann")
    manager.delete(path)
    row = models.person("t1", path.rpartition("/")[2])
    row.update([models.Person.status_before.remove()])

    # It is not known that they had accepted, since no login is bound.
    assert manager.post(f"{path}/reactivate").json()["data"]["status"] == "invited"


def test_an_admin_is_let_in_again_by_admins_only(
    cloud: LocalCloud, client: Client, manager: Caller, admin: Caller
) -> None:
    boss = active(cloud, client, admin, "boss", role="admin")
    admin.delete(boss)

    assert manager.post(f"{boss}/reactivate").status_code == 403
    assert manager.post(f"{USERS}/nobody/reactivate").status_code == 404
    assert client.as_("staff").post(f"{boss}/reactivate").status_code == 403
    assert admin.post(f"{boss}/reactivate").status_code == 200


# Another address ---------------------------------------------------------------------------------


def moved(by: Caller, path: str, email: str = "new@example.com") -> Answer:
    return by.patch(path, {"email": email})


def test_another_address_ends_the_login_and_gets_an_invitation(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    path = active(cloud, client, manager, "ann", role="staff")
    login = {"sub": "ann", "email": "ann@example.com", "email_verified": True}
    assert client.as_("staff", **login).get("/v1/batches/none").status_code == 404

    answer = moved(manager, path)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == manager.get(path).json()["data"]
    assert (answer.json()["data"]["email"], answer.json()["data"]["status"]) == (
        "new@example.com",
        "invited",
    )
    cloud.advance(61)
    assert client.as_("staff", **login).get("/v1/batches/none").status_code == 403

    cloud.run_until_idle()
    token = newest_token("new@example.com")
    ann = client.as_("staff", sub="ann")
    assert ann.post("/v1/invitations/accept", {"token": token}).status_code == 200
    assert ann.get("/v1/batches/none").status_code == 404


def test_the_open_invitation_to_the_old_address_ends(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    path = created(cloud, manager, "ann")
    earlier = newest_token()
    moved(manager, path)
    cloud.run_until_idle()

    assert by_api(client, earlier).status_code == 404
    assert by_api(client, newest_token("new@example.com")).status_code == 200
    assert manager.create_user("Another").status_code == 201  # the old address is free


def test_an_address_that_is_taken_stays_with_its_user(cloud: LocalCloud, manager: Caller) -> None:
    path = created(cloud, manager, "ann")
    created(cloud, manager, "bob")
    before = manager.get(path).json()["data"], sorted(aws.rows("people"))

    assert moved(manager, path, "BOB@example.com").status_code == 409
    assert (manager.get(path).json()["data"], sorted(aws.rows("people"))) == before


def test_another_case_of_the_same_address_is_only_shown(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    path = active(cloud, client, manager, "ann")
    answer = moved(manager, path, "Ann@Example.com")
    cloud.run_until_idle()

    assert answer.json()["data"]["email"] == "Ann@Example.com"
    assert answer.json()["data"]["status"] == "active"
    assert len(mailbox.sent()) == 1


def test_a_deactivated_user_who_moves_is_invited_when_they_return(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    path = active(cloud, client, manager, "ann")
    manager.delete(path)
    assert moved(manager, path).json()["data"]["status"] == "deactivated"
    cloud.run_until_idle()
    assert mailbox.sent(to="new@example.com") == []

    assert manager.post(f"{path}/reactivate").json()["data"]["status"] == "invited"
    cloud.run_until_idle()
    assert by_api(client, newest_token("new@example.com")).status_code == 200


def test_an_admins_address_is_changed_by_admins_only(
    cloud: LocalCloud, manager: Caller, admin: Caller
) -> None:
    boss = created(cloud, admin, "boss", role="admin")

    assert moved(manager, boss).status_code == 403
    assert moved(admin, boss).status_code == 200


def test_of_two_who_want_the_same_address_at_once_one_gets_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    paths = [created(cloud, manager, name) for name in ("ann", "bob")]
    sessions = [manager.in_a_session_of_its_own() for _ in paths]
    answers = at_once(
        *(partial(moved, each, path) for each, path in zip(sessions, paths, strict=True))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(manager.users(search="new@")) == 1


def test_the_old_login_is_not_known_by_its_old_address(
    cloud: LocalCloud, client: Client, manager: Caller, admin: Caller
) -> None:
    """Also where unknown logins are refused, and the token still names the old address."""
    path = active(cloud, client, manager, "ann", role="manager")
    assert moved(admin, path).status_code == 200
    login = {"sub": "second", "email": "ann@example.com", "email_verified": True}
    with settings.changed(unknown_subjects="refuse"):
        assert client.as_("manager", **login).get(USERS).status_code == 403
