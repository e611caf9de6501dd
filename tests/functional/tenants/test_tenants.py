"""One tenant never sees another, and each role has its routes.

Every mounted route with another tenant's ids: http/test_two_tenants.py.
"""

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller, Client

LISTS = ("/admin/v1/users", "/admin/v1/jobs", "/admin/v1/notifications")


@pytest.fixture
def ids(cloud: LocalCloud, manager: Caller, other: Caller) -> dict[str, str]:
    """What of t2 may stand in a path, by the parameter's name; t1 has the same data."""
    for caller in (manager, other):
        caller.create_user("Ann", email="ann@example.com", phone="+4915112345678")
    cloud.run_until_idle()
    rows = "name,email,phone,role\nAnn,ann@example.com,,staff\n"
    batch = other.send(
        "POST", "/admin/v1/users/import", headers={"Content-Type": "text/csv"}, data=rows
    )
    return {
        "user_id": other.users()[0]["id"],
        "job_id": other.jobs()[0]["id"],
        "notification_id": other.notifications()[0]["id"],
        "batch_id": batch.json()["data"]["batch_id"],
    }


def test_another_tenants_record_and_no_record_are_answered_alike(
    manager: Caller, ids: dict[str, str]
) -> None:
    for kind, name in (
        ("users", "user_id"),
        ("jobs", "job_id"),
        ("notifications", "notification_id"),
    ):
        foreign = manager.get(f"/admin/v1/{kind}/{ids[name]}").json()
        assert foreign["status"] == 404
        missing = manager.get(f"/admin/v1/{kind}/01m81vfpqa4g492km3ew3kvx3r").json()
        assert {**foreign, "request_id": ""} == {**missing, "request_id": ""}


@pytest.mark.parametrize("path", LISTS)
def test_lists_show_only_the_callers_tenant(
    manager: Caller, other: Caller, ids: dict[str, str], path: str
) -> None:
    mine = {record["id"] for record in manager.listed(path)}
    theirs = {record["id"] for record in other.listed(path)}

    assert mine
    assert theirs
    assert not mine & theirs


def test_searching_and_filtering_never_leaves_the_tenant(
    manager: Caller, other: Caller, ids: dict[str, str]
) -> None:
    other.create_user("Bob", email="bob@example.com")

    assert len(other.users(search="bob")) == 1
    assert len(other.notifications(recipient="bob@example.com")) == 1
    assert manager.users(search="bob") == []
    assert manager.notifications(recipient="bob@example.com") == []
    assert len(manager.notifications(recipient="ann@example.com")) == 1


def test_a_token_of_one_tenant_that_names_another_stays_in_its_own(
    manager: Caller, other: Caller, ids: dict[str, str]
) -> None:
    users = manager.naming("t2").users()

    assert [user["id"] for user in users] == [user["id"] for user in manager.users()]
    assert manager.get("/admin/v1/users?tenant_id=t2&tenant=t2").json()["data"] == users


def test_a_tenant_in_the_body_changes_nothing(manager: Caller, other: Caller) -> None:
    assert manager.create_user(tenant="t2", tenant_id="t2").status_code == 201

    assert len(manager.users()) == 1
    assert other.users() == []


def test_messages_carry_the_tenant_they_belong_to(cloud: LocalCloud, ids: dict[str, str]) -> None:
    assert sorted(message.tenant_id or "" for message in mailbox.sent()) == ["t1", "t1", "t2", "t2"]
    for message in mailbox.sent(tenant_id="t2"):
        assert "Birch Training" in message.text


@pytest.mark.parametrize("role", ["staff", "customer"])
@pytest.mark.parametrize("path", [*LISTS, *(f"{path}/x" for path in LISTS)])
def test_staff_and_customers_are_refused(client: Client, role: str, path: str) -> None:
    answer = client.as_(role).get(path)

    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("role", ["staff", "customer"])
def test_staff_and_customers_create_nobody(
    cloud: LocalCloud, client: Client, manager: Caller, role: str
) -> None:
    assert client.as_(role).create_user().status_code == 403
    assert manager.users() == []


@pytest.mark.parametrize("path", LISTS)
def test_an_admin_who_names_no_tenant_is_a_bad_request(client: Client, path: str) -> None:
    answer = client.as_("admin", None).get(path)

    assert answer.status_code == 400
    assert "X-Tenant-Id" in answer.json()["detail"]


def test_an_admin_works_in_the_tenant_they_name(
    client: Client, manager: Caller, other: Caller
) -> None:
    admin = client.as_("admin", None)
    assert admin.naming("t2").create_user().status_code == 201

    assert manager.users() == []
    assert len(other.users()) == len(admin.naming("t2").users()) == 1


def test_an_admins_token_names_no_tenant_by_itself(client: Client) -> None:
    assert client.as_("admin", "t1").get("/admin/v1/users").status_code == 400


@pytest.mark.parametrize("tenant", ["nobody", "#tenants", "t1 ", "T1", "t1#x", "../t1"])
def test_an_unknown_tenant_is_refused(client: Client, tenant: str) -> None:
    assert client.as_("manager", tenant).get("/admin/v1/users").status_code == 403


@pytest.mark.parametrize("tenant", ["nobody", "#tenants", "T1"])
def test_an_admin_who_names_an_unknown_tenant_is_refused(client: Client, tenant: str) -> None:
    assert client.as_("admin", None).naming(tenant).get("/admin/v1/users").status_code == 403


def test_a_token_that_names_no_tenant_is_refused(client: Client) -> None:
    assert client.as_("manager", None).get("/admin/v1/users").status_code == 403


def test_a_suspended_tenant_is_refused(cloud: LocalCloud, client: Client) -> None:
    from chalicelib.kernel.auth import tenancy

    tenancy.record("t3", "Cedar", status="suspended").save()

    assert client.as_("manager", "t3").get("/admin/v1/users").status_code == 403
    assert client.as_("manager", "t3").create_user().status_code == 403
    assert client.as_("admin", None).naming("t3").get("/admin/v1/users").status_code == 403
