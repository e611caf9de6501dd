"""Changing users: what may be changed, by whom, and logins that are bound to users."""

from typing import Any

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, Client, aws_calls

PHONE = "+4915112345678"


def created(caller: Caller, **values: Any) -> dict[str, Any]:
    answer = caller.create_user(**values)
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()["data"]["user"]
    return user


def path_of(user: dict[str, Any]) -> str:
    return f"/admin/v1/users/{user['id']}"


def test_what_is_left_out_of_a_change_stays(manager: Caller) -> None:
    user = created(manager, phone=PHONE)

    for change in ({"name": "Bob"}, {"role": "customer"}, {"phone": "+4915112345679"}, {}):
        user |= change
        answer = manager.patch(path_of(user), change)
        assert answer.status_code == 200
        assert answer.json()["data"] == user
        assert aws_calls(answer) <= (3 if {"name", "role"} & set(change) else 2)
    assert manager.get(path_of(user)).json()["data"] == user


def test_null_removes_the_phone_number_and_nothing_else(manager: Caller) -> None:
    user = created(manager, phone=PHONE)

    assert manager.patch(path_of(user), {"phone": None}).json()["data"] == {**user, "phone": None}
    for field in ("name", "role"):
        answer = manager.patch(path_of(user), {field: None})
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_members_that_are_not_known_or_not_to_be_changed_are_ignored(manager: Caller) -> None:
    user = created(manager)
    change = {"status": "active", "id": "x", "tenant": "t2", "x": 1}

    answer = manager.patch(path_of(user), {**change, "name": "Bob"})
    assert answer.json()["data"] == {**user, "name": "Bob"}


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"name": "a\nb"}, {"phone": "0151"}, {"phone": ""}, {"role": "root"}]
)
def test_a_value_that_cannot_be_taken_is_a_422(manager: Caller, change: dict[str, Any]) -> None:
    user = created(manager)

    assert manager.patch(path_of(user), change).status_code == 422
    assert manager.get(path_of(user)).json()["data"] == user


def test_a_changed_name_is_found_by_search(manager: Caller) -> None:
    user = created(manager, name="Ann")
    manager.patch(path_of(user), {"name": "Bob"})

    assert [each["id"] for each in manager.users(search="bo")] == [user["id"]]
    assert [each["name"] for each in manager.users(search="ann")] == ["Bob"]  # by the address


def test_a_deactivated_user_stays_to_be_seen_and_keeps_the_address(manager: Caller) -> None:
    user = created(manager)
    answer = manager.delete(path_of(user))

    assert answer.status_code == 200
    assert answer.json()["data"] == {**user, "status": "deactivated"}
    assert manager.users(status="deactivated") == [answer.json()["data"]]
    assert manager.create_user().status_code == 409


def test_a_manager_neither_gives_changes_nor_ends_the_role_of_an_admin(
    manager: Caller, admin: Caller
) -> None:
    boss = created(admin, role="admin")
    staff = created(manager, email="bob@example.com")

    assert manager.patch(path_of(staff), {"role": "admin"}).status_code == 403
    for change in ({"name": "Eve"}, {"phone": PHONE}, {"role": "staff"}):
        assert manager.patch(path_of(boss), change).status_code == 403
    assert manager.delete(path_of(boss)).status_code == 403
    assert manager.get(path_of(boss)).json()["data"] == boss
    assert admin.patch(path_of(boss), {"role": "staff"}).status_code == 200
    assert admin.patch(path_of(staff), {"role": "admin"}).status_code == 200


def test_staff_and_customers_change_nobody(client: Client, manager: Caller) -> None:
    user = created(manager)

    for role in ("staff", "customer"):
        assert client.as_(role).patch(path_of(user), {"name": "Eve"}).status_code == 403
        assert client.as_(role).delete(path_of(user)).status_code == 403


@pytest.mark.parametrize("email", ["ann@example.com", "Ann@Example.COM"])
def test_nobody_changes_their_own_role_or_ends_their_own_account(
    client: Client, manager: Caller, email: str
) -> None:
    user = created(manager, role="manager")
    ann = client.as_("manager", sub="ann-1", email=email, email_verified=True)

    assert ann.patch(path_of(user), {"role": "staff"}).status_code == 403
    assert ann.delete(path_of(user)).status_code == 403
    assert ann.patch(path_of(user), {"name": "Ann"}).status_code == 200
    assert ann.patch(path_of(user), {"role": "manager"}).status_code == 200  # no change


def test_a_second_login_with_the_same_address_is_the_same_person_to_the_rule(
    client: Client, manager: Caller
) -> None:
    user = created(manager, role="manager")
    for subject in ("ann-1", "ann-2"):
        ann = client.as_("manager", sub=subject, email="ANN@example.com", email_verified=True)
        assert ann.patch(path_of(user), {"role": "staff"}).status_code == 403


def subject_of(user: dict[str, Any]) -> str | None:
    row = aws.rows("people")[f"person#{user['id']}"]
    return row["subject"]["S"] if "subject" in row else None


@pytest.mark.parametrize("verified", [True, "true"])  # some issuers write booleans as words
def test_the_first_login_with_a_verified_address_binds_its_subject(
    client: Client, manager: Caller, verified: Any
) -> None:
    user = created(manager)
    login = {"email": "ANN@example.com", "email_verified": verified}
    client.as_("staff", sub="ann-1", **login).get("/v1/batches/none")
    assert subject_of(user) == "ann-1"

    client.as_("staff", sub="ann-2", **login).get("/v1/batches/none")
    assert subject_of(user) == "ann-1"


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "ann@example.com"},
        {"email": "ann@example.com", "email_verified": False},
        {"email": "ann@example.com", "email_verified": "false"},
        {"email": "ann@example.com", "email_verified": None},
        {"email": "", "email_verified": True},
        {"email_verified": True},
        {"email": "another@example.com", "email_verified": True},
        {"email": "ann@example.com", "email_verified": True, "tenant_id": "t2"},
    ],
    ids=str,
)
def test_a_login_without_this_verified_address_in_this_tenant_binds_nothing(
    client: Client, manager: Caller, claims: dict[str, Any]
) -> None:
    user = created(manager)
    given = {"sub": "ann-1", "role": "staff", "tenant_id": "t1", **claims}
    client.with_token(client.make_token(given)).get("/v1/batches/none")

    assert subject_of(user) is None


def test_a_bound_login_is_known_whatever_its_address_says_later(
    client: Client, manager: Caller
) -> None:
    user = created(manager, role="manager")
    login = {"email": "ann@example.com", "email_verified": True}
    client.as_("manager", sub="ann-1", **login).get("/admin/v1/users")

    renamed = client.as_("manager", sub="ann-1")
    assert renamed.patch(path_of(user), {"role": "staff"}).status_code == 403


@pytest.mark.local  # API Gateway remembers the authorizer's answer
def test_a_deactivated_users_login_is_refused(client: Client, manager: Caller) -> None:
    user, other = created(manager, role="manager"), "bob@example.com"
    created(manager, role="manager", email=other)
    login = {"sub": "ann-1", "email": "ann@example.com", "email_verified": True}
    for claims in (login, {"sub": "bob-1", "email": other, "email_verified": True}):
        assert client.as_("manager", **claims).get("/admin/v1/users").status_code == 200
    assert manager.delete(path_of(user)).status_code == 200

    for claims in (login, {"sub": "ann-1"}):
        answer = client.as_("manager", **claims).get("/admin/v1/users")
        assert answer.status_code == 403


def test_a_user_deactivated_before_their_first_login_is_refused_at_it(
    client: Client, manager: Caller
) -> None:
    user = created(manager, role="manager")
    manager.delete(path_of(user))
    login = {"sub": "ann-1", "email": "ann@example.com", "email_verified": True}

    assert client.as_("manager", **login).get("/admin/v1/users").status_code == 403
    assert client.as_("manager", **login).create_user(email="x@example.com").status_code == 403


def test_changes_send_nothing(cloud: LocalCloud, manager: Caller) -> None:
    user = created(manager, send_email=False)
    assert manager.patch(path_of(user), {"name": "Bob", "phone": PHONE}).status_code == 200
    assert manager.delete(path_of(user)).status_code == 200
    cloud.run_until_idle()

    assert mailbox.sent() == []
