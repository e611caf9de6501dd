"""A request sent again with its key has its answer, though it would be refused as a new one."""

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller
from tests.functional.sending import events

KEY = {"Idempotency-Key": "one"}
REGION = {
    "provider": "openstack",
    "name": "north",
    "address": "https://cloud.example.com:5000/v3",
    "account": "Default/admin",
    "username": "backburner",
    "password": "s3cret-of-the-platform",
}


def assert_replayed(first: Answer, again: Answer) -> None:
    assert first.status_code // 100 == 2, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_change_is_replayed_though_its_caller_may_no_longer_make_it(
    manager: Caller, admin: Caller
) -> None:
    path = f"/admin/v1/users/{manager.create_user().json()['data']['user']['id']}"
    first = manager.patch(path, {"name": "Bob"}, headers=KEY)
    admin.naming("t1").patch(path, {"role": "admin"})

    assert_replayed(first, manager.patch(path, {"name": "Bob"}, headers=KEY))
    assert manager.patch(path, {"name": "Bob"}).status_code == 403


def test_another_body_under_the_key_is_refused_as_that(manager: Caller, admin: Caller) -> None:
    path = f"/admin/v1/users/{manager.create_user().json()['data']['user']['id']}"
    manager.patch(path, {"name": "Bob"}, headers=KEY)
    admin.naming("t1").patch(path, {"role": "admin"})

    assert manager.patch(path, {"name": "Cid"}, headers=KEY).status_code == 422


def test_what_was_refused_is_not_stored_and_may_be_tried_again(
    manager: Caller, admin: Caller
) -> None:
    path = f"/admin/v1/users/{manager.create_user().json()['data']['user']['id']}"
    admin.naming("t1").patch(path, {"role": "admin"})
    assert manager.patch(path, {"name": "Bob"}, headers=KEY).status_code == 403
    admin.naming("t1").patch(path, {"role": "staff"})

    answer = manager.patch(path, {"name": "Bob"}, headers=KEY)

    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers


@pytest.mark.local  # the key of a caller and the region that every run has
def test_a_deletion_is_replayed_though_the_record_is_gone(admin: Caller) -> None:
    admin.post("/admin/v1/regions", REGION)

    first = admin.delete("/admin/v1/regions/openstack/north", headers=KEY)

    assert_replayed(first, admin.delete("/admin/v1/regions/openstack/north", headers=KEY))
    assert admin.delete("/admin/v1/regions/openstack/north").status_code == 404


def test_taking_an_address_off_the_suppression_list_is_replayed_for_that_address_only(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    cloud.run_until_idle()
    (mail,) = manager.listed("/admin/v1/notifications", kind="people.invitation")
    events.bring(cloud, events.about("hard-bounce", mail["id"]))
    path = "/admin/v1/suppressions?address="

    first = manager.delete(f"{path}ann@example.com", headers=KEY)

    assert_replayed(first, manager.delete(f"{path}ann@example.com", headers=KEY))
    assert manager.delete(f"{path}bob@example.com", headers=KEY).status_code == 422


def test_a_key_has_an_end_also_for_what_is_refused(
    cloud: LocalCloud, manager: Caller, admin: Caller
) -> None:
    path = f"/admin/v1/users/{manager.create_user().json()['data']['user']['id']}"
    manager.patch(path, {"name": "Bob"}, headers=KEY)
    admin.naming("t1").patch(path, {"role": "admin"})
    cloud.advance(86_401)

    assert manager.patch(path, {"name": "Bob"}, headers=KEY).status_code == 403
