"""What a login may do: the weaker of its token and its user's record, and nothing without a user.

As on a stage: a login that is bound to nobody is refused.
"""

from typing import Any

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests import settings
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client
from tests.functional.people.invitations import ACCEPT, by_api, newest_token

pytestmark = [
    pytest.mark.local,
    pytest.mark.usefixtures("as_on_a_stage"),
]  # the settings of a stage are changed

USERS = "/admin/v1/users"


def invited(cloud: LocalCloud, by: Caller, role: str = "manager", **values: Any) -> dict[str, Any]:
    answer = by.create_user(role=role, **values)
    assert answer.status_code == 201, answer.text
    cloud.run_until_idle()
    user: dict[str, Any] = answer.json()["data"]["user"]
    return user


def accept_signed_in(caller: Caller, token: str) -> Answer:
    return caller.post(ACCEPT, {"token": token})


def joined(cloud: LocalCloud, root: Caller, client: Client, name: str, role: str) -> Caller:
    """Somebody with a token without an e-mail address, who accepted while signed in."""
    invited(cloud, root, role, name=name, email=f"{name}@example.com")
    caller = client.as_(role, sub=name)
    assert accept_signed_in(caller, newest_token(f"{name}@example.com")).status_code == 200
    return caller


def path_of(root: Caller, name: str) -> str:
    (user,) = root.users(search=f"{name}@")
    return f"{USERS}/{user['id']}"


# Who is nobody here ------------------------------------------------------------------------------


def test_a_login_that_is_bound_to_nobody_is_refused_with_advice(client: Client) -> None:
    for role in ("manager", "staff", "customer"):
        answer = client.as_(role).get("/v1/batches/none")
        assert answer.status_code == 403
        assert "Accept your invitation while you are signed in" in answer.json()["detail"]


def test_an_admin_of_the_platform_is_one_that_the_deployment_names(
    client: Client, root: Caller
) -> None:
    assert root.get(USERS).status_code == 200
    assert root.get("/admin/v1/tenants").status_code == 200
    other = client.as_("admin", None, sub="another").naming("t1")
    assert other.get(USERS).status_code == other.get("/admin/v1/tenants").status_code == 403
    assert client.as_("manager", sub="root").get(USERS).status_code == 403


def test_an_admin_who_was_invited_and_accepted_is_one_without_a_tenant_in_the_token(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    invited(cloud, root, "admin", email="boss@example.com")
    boss = client.as_("admin", None, sub="boss").naming("t2")
    assert boss.get(USERS).status_code == 403

    assert accept_signed_in(boss, newest_token("boss@example.com")).status_code == 200
    assert boss.get(USERS).status_code == boss.get("/admin/v1/tenants").status_code == 200
    assert root.delete(path_of(root, "boss")).status_code == 200
    cloud.advance(61)
    assert boss.get(USERS).status_code == 403


def test_a_machine_acts_in_the_role_that_it_was_bound_to(client: Client) -> None:
    from chalicelib.people import access

    access.bind_machine("t1", "ci", "staff")
    machine = client.as_("manager", sub="ci")
    assert machine.get("/v1/batches/none").status_code == 404
    assert machine.get(USERS).status_code == 403  # the weaker of both roles

    access.bind_machine("t1", "ci", "manager")
    cloud_minute_later = client.as_("manager", sub="ci", jti="fresh")
    assert cloud_minute_later.get(USERS).status_code == 200


def test_the_doctor_can_list_who_would_be_refused(client: Client) -> None:
    with settings.changed(unknown_subjects="report"):
        assert client.as_("manager").get(USERS).status_code == 200
    with settings.changed(unknown_subjects="allow"):
        assert client.as_("manager", sub="not listed").get(USERS).status_code == 200

    (row,) = aws.rows("people", "#unknown").values()
    assert row["sk"] == {"S": "t1#manager-of-t1"}
    assert row["names_somebody"] == {"BOOL": False}


# Being bound -------------------------------------------------------------------------------------


def test_who_accepts_while_signed_in_is_in_at_once_without_an_address_in_the_token(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    invited(cloud, root)
    mona = client.as_("manager", sub="mona")
    assert mona.get(USERS).status_code == 403  # which the gateway remembers

    answer = accept_signed_in(mona, newest_token())
    assert answer.status_code == 200
    assert answer.json()["data"]["status"] == "active"
    assert mona.get(USERS).status_code == 200


def test_a_bearer_that_is_no_good_is_a_401_and_accepts_nothing(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    invited(cloud, root)
    answer = accept_signed_in(client.with_token("a.b.c"), newest_token())

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert by_api(client, newest_token()).status_code == 200


def test_a_login_is_bound_once_and_so_is_a_user(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    mona = joined(cloud, root, client, "mona", "manager")
    invited(cloud, root, name="Second", email="second@example.com")
    assert accept_signed_in(mona, newest_token("second@example.com")).status_code == 409

    login = {"email": "second@example.com", "email_verified": True}
    assert client.as_("manager", sub="second", **login).get(USERS).status_code == 200
    third = client.as_("manager", sub="third")
    assert accept_signed_in(third, newest_token("second@example.com")).status_code == 409
    assert third.get(USERS).status_code == 403


def test_a_token_of_another_tenant_accepts_nothing(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    invited(cloud, root)

    assert accept_signed_in(client.as_("manager", "t2"), newest_token()).status_code == 403
    assert by_api(client, newest_token()).status_code == 200


def test_a_claim_may_name_the_user(cloud: LocalCloud, root: Caller, client: Client) -> None:
    user = invited(cloud, root)
    with settings.changed(user_claim="our_id"):
        assert client.as_("manager", sub="a", our_id=user["id"]).get(USERS).status_code == 200
        assert client.as_("manager", sub="b", our_id="unheard-of").get(USERS).status_code == 403
    assert client.as_("manager", sub="a", jti="later").get(USERS).status_code == 200


def test_an_address_that_is_not_ascii_is_nobodys(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    """The Kelvin sign folds into k, so one person's address would be another's."""
    invited(cloud, root, email="mark@example.com")
    login = {"email": "mar\u212a@example.com", "email_verified": True}
    assert client.as_("manager", sub="eve", **login).get(USERS).status_code == 403

    login = {"email": "MARK@example.com", "email_verified": True}
    assert client.as_("manager", sub="mark", **login).get(USERS).status_code == 200


# The end of access -------------------------------------------------------------------------------


def test_a_deactivated_user_without_an_address_in_the_token_is_out_within_a_minute(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    joined(cloud, root, client, "olga", "manager")
    mona = joined(cloud, root, client, "mona", "manager")
    assert mona.get(USERS).status_code == 200
    assert root.delete(path_of(root, "mona")).status_code == 200

    cloud.advance(61)
    assert mona.create_user(email="accomplice@example.com").status_code == 403
    fresh = client.as_("manager", sub="mona", jti="fresh")
    assert fresh.create_user(email="accomplice@example.com").status_code == 403


def test_who_is_demoted_has_the_weaker_role_within_a_minute(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    joined(cloud, root, client, "olga", "manager")
    mal = joined(cloud, root, client, "mal", "manager")
    assert mal.get(USERS).status_code == 200
    assert root.patch(path_of(root, "mal"), {"role": "customer"}).status_code == 200

    cloud.advance(61)
    assert mal.create_user(email="x@example.com", role="manager").status_code == 403
    assert mal.get("/admin/v1/projects").json()["data"] == []  # as a customer


def test_a_promotion_gives_no_more_than_the_token(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    ann = joined(cloud, root, client, "ann", "staff")
    root.patch(path_of(root, "ann"), {"role": "manager"})
    cloud.advance(61)

    assert ann.get(USERS).status_code == 403


def test_while_the_store_is_throttled_the_answer_is_a_503_that_is_not_kept(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    joined(cloud, root, client, "olga", "manager")
    mona = joined(cloud, root, client, "mona", "manager")
    root.delete(path_of(root, "mona"))
    cloud.advance(61)
    faults.add(Fault("dynamodb", "GetItem", "throttle", times=None))
    answer = mona.get(USERS)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0

    faults.clear()
    assert mona.get(USERS).status_code == 403
