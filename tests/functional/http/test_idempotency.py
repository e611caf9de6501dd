"""Idempotency-Key: the same request again gives the same answer, and one effect."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client, at_once

THREADS = 20
KEPT = ("Location", "ETag", "Content-Type")


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def create(caller: Caller, key: str, email: str = "ann@example.com") -> Answer:
    body = {"name": "Ann", "email": email, "role": "staff", "phone": "+4915112345678"}
    return caller.post("/admin/v1/users", body, headers=keyed(key))


def assert_replayed(first: Answer, again: Answer) -> None:
    """The very bytes and headers of the first answer, marked as a repetition."""
    assert again.status_code == first.status_code, again.text
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert {name: again.headers.get(name) for name in KEPT} == {
        name: first.headers.get(name) for name in KEPT
    }


def test_one_key_from_twenty_threads_has_one_effect_and_every_201_is_equal_byte_for_byte(
    cloud: LocalCloud, manager: Caller
) -> None:
    callers = [manager.in_a_session_of_its_own() for _ in range(THREADS)]
    answers = at_once(*(partial(create, caller, "one") for caller in callers))

    statuses = Counter(answer.status_code for answer in answers)
    created = [answer for answer in answers if answer.status_code == 201]
    assert set(statuses) <= {201, 409}
    assert len({answer.content for answer in created}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in created) == 1
    assert len(manager.users()) == 1
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 2  # a mail and an SMS
    assert len({answer.headers["Location"] for answer in created}) == 1


def test_a_key_sent_again_gives_the_same_answer_with_its_location_and_etag(
    cloud: LocalCloud, manager: Caller
) -> None:
    first = create(manager, "one")

    assert_replayed(first, create(manager, "one"))
    assert first.headers["Location"]
    assert first.headers["ETag"]
    assert first.headers["X-Request-Id"] != create(manager, "one").headers["X-Request-Id"]


def test_a_key_of_two_tenants_and_of_two_callers_of_one_tenant_never_meet(
    client: Client, manager: Caller, other: Caller, admin: Caller
) -> None:
    colleague = client.as_("manager", sub="another-manager-of-t1")
    answers = [
        create(manager, "one", "ann@example.com"),
        create(other, "one", "ann@example.com"),
        create(colleague, "one", "bob@example.com"),
        create(admin, "one", "cid@example.com"),
        create(admin.naming("t2"), "one", "cid@example.com"),
    ]

    assert [answer.status_code for answer in answers] == [201] * 5
    assert not any("Idempotent-Replayed" in answer.headers for answer in answers)
    assert (len(manager.users()), len(other.users())) == (3, 2)


@pytest.mark.parametrize(
    "send",
    [
        lambda caller: create(caller, "one", "bob@example.com"),
        lambda caller: caller.post(
            "/admin/v1/users/01m81vfpqa4g492km3ew3kvx3r/resend-invitation", headers=keyed("one")
        ),
    ],
    ids=["another body", "another path"],
)
def test_a_key_with_another_request_is_a_422_and_changes_nothing(
    cloud: LocalCloud, manager: Caller, send: Callable[[Caller], Answer]
) -> None:
    user_id = create(manager, "one").json()["data"]["user"]["id"]
    cloud.run_until_idle()
    cloud.advance(61)

    answer = send(manager)
    if answer.status_code == 404:  # the path's record must exist for the key to be looked at
        path = f"/admin/v1/users/{user_id}/resend-invitation"
        answer = manager.post(path, headers=keyed("one"))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert len(manager.users()) == 1
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 2


def test_after_a_lost_answer_of_the_commit_the_retry_gives_the_one_user_and_one_mail(
    cloud: LocalCloud, manager: Caller
) -> None:
    faults.add(Fault("dynamodb", "TransactWriteItems", "lose_answer", times=None))
    lost = create(manager, "one")
    faults.clear()
    retried = create(manager, "one")

    assert lost.status_code == 503
    assert int(lost.headers["Retry-After"]) >= 1
    assert retried.status_code == 201
    assert retried.headers["Idempotent-Replayed"] == "true"
    (user,) = manager.users()
    assert user["id"] == retried.json()["data"]["user"]["id"]
    cloud.advance(61)
    cloud.run_until_idle()
    assert Counter(message.channel for message in mailbox.sent()) == {"email": 1, "sms": 1}


def test_an_error_stores_nothing_and_its_key_may_be_tried_again(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user(email="taken@example.com")

    assert create(manager, "one", "taken@example.com").status_code == 409
    assert create(manager, "one", "no address").status_code == 422
    assert create(manager, "one", "free@example.com").status_code == 201
    assert [sk for sk in aws.rows("kernel") if sk.startswith("idem#")] != []


def test_a_commit_that_was_refused_stores_nothing(cloud: LocalCloud, manager: Caller) -> None:
    faults.add(Fault("dynamodb", "TransactWriteItems", "refuse", times=None))
    assert create(manager, "one").status_code == 503

    faults.clear()
    answer = create(manager, "one")
    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer.headers


def test_a_key_is_kept_for_a_day_and_is_then_a_new_one(cloud: LocalCloud, manager: Caller) -> None:
    first = create(manager, "one")
    cloud.advance(86_400 - 60)
    assert_replayed(first, create(manager, "one"))

    cloud.advance(120)
    assert create(manager, "one", "bob@example.com").status_code == 201
    assert create(manager, "one", "bob@example.com").headers["Idempotent-Replayed"] == "true"
    assert len(manager.users()) == 2


def test_a_stored_answer_carries_the_time_at_which_dynamodb_deletes_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    before = cloud_seconds()
    create(manager, "one")

    (row,) = [row for sk, row in aws.rows("kernel").items() if sk.startswith("idem#")]
    assert abs(int(row["expires_at"]["N"]) - before - 86_400) < 5
    assert "one" not in str({name: row[name] for name in ("sk", "fingerprint")})


def cloud_seconds() -> int:
    import time

    return int(time.time())


@pytest.mark.parametrize("key", ["k", "k" * 255, 'with blanks and !"#~', '"quoted"'])
def test_every_printable_key_up_to_255_characters_is_taken(manager: Caller, key: str) -> None:
    assert create(manager, key).status_code == 201
    assert create(manager, key).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"])
def test_a_key_that_is_empty_too_long_or_not_printable_is_a_422(
    cloud: LocalCloud, manager: Caller, key: str
) -> None:
    answer = create(manager, key)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert manager.users() == []


def test_a_patch_with_a_key_is_carried_out_once_also_with_an_if_match(manager: Caller) -> None:
    created = manager.create_user()
    path = f"/admin/v1/users/{created.json()['data']['user']['id']}"
    headers = {**keyed("one"), "If-Match": created.headers["ETag"]}

    first = manager.patch(path, {"name": "Bob"}, headers=headers)
    assert first.status_code == 200
    assert_replayed(first, manager.patch(path, {"name": "Bob"}, headers=headers))
    assert manager.get(path).headers["ETag"] == first.headers["ETag"]


def test_a_patch_with_a_key_is_replayed_after_the_user_was_changed_again(manager: Caller) -> None:
    path = f"/admin/v1/users/{manager.create_user().json()['data']['user']['id']}"
    first = manager.patch(path, {"name": "Bob"}, headers=keyed("one"))
    manager.patch(path, {"name": "Cid"})

    assert_replayed(first, manager.patch(path, {"name": "Bob"}, headers=keyed("one")))
    assert manager.get(path).json()["data"]["name"] == "Cid"


def test_a_resend_with_a_key_is_one_invitation_also_within_the_minute_of_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    user_id = manager.create_user().json()["data"]["user"]["id"]
    path = f"/admin/v1/users/{user_id}/resend-invitation"
    cloud.advance(61)

    first = manager.post(path, headers=keyed("one"))
    assert first.status_code == 202
    assert_replayed(first, manager.post(path, headers=keyed("one")))
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 1


def test_an_import_with_a_key_is_one_batch(cloud: LocalCloud, manager: Caller) -> None:
    def upload() -> Answer:
        headers = {**keyed("one"), "Content-Type": "text/csv"}
        rows = "name,email,role\nAnn,ann@example.com,staff\n"
        return manager.send("POST", "/admin/v1/users/import", headers=headers, data=rows)

    first = upload()
    assert first.status_code == 202
    assert_replayed(first, upload())
    cloud.run_until_idle()
    assert len(manager.users()) == 1
    assert len(mailbox.sent()) == 1


def test_accepting_with_a_key_needs_no_token_of_a_caller_and_is_replayed(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    manager.create_user()
    cloud.run_until_idle()
    token = mailbox.sent()[0].text.partition("token=")[2].split()[0]

    def accept(body: dict[str, Any]) -> Answer:
        path = "/v1/invitations/accept"
        return client.send("POST", path, json=body, headers=keyed("one"))

    first = accept({"token": token})
    assert first.status_code == 200
    assert_replayed(first, accept({"token": token}))
    assert accept({"token": "x" + token}).status_code == 404
    assert client.send("POST", "/v1/invitations/accept", json={"token": token}).status_code == 404


@pytest.mark.local  # the key of a caller that every run has
def test_creating_a_tenant_with_a_key_creates_one(client: Client) -> None:
    admin = client.as_("admin", None)

    def create_tenant() -> Answer:
        return admin.post("/admin/v1/tenants", {"name": "Cedar"}, headers=keyed("one"))

    first = create_tenant()
    assert first.status_code == 201
    assert_replayed(first, create_tenant())
    assert [tenant["name"] for tenant in admin.listed("/admin/v1/tenants")].count("Cedar") == 1


@pytest.mark.local  # the tenant's name is the local one
def test_changing_a_tenant_with_a_key_and_an_if_match_is_replayed(client: Client) -> None:
    admin = client.as_("admin", None)
    tag = admin.get("/admin/v1/tenants/t1").headers["ETag"]
    headers = {**keyed("one"), "If-Match": tag}

    first = admin.patch("/admin/v1/tenants/t1", {"name": "Cedar"}, headers=headers)
    assert first.status_code == 200
    again = admin.patch("/admin/v1/tenants/t1", {"name": "Cedar"}, headers=headers)
    assert_replayed(first, again)


def test_a_key_on_a_get_is_not_looked_at(manager: Caller) -> None:
    create(manager, "one")

    assert manager.get("/admin/v1/users", headers=keyed("one")).status_code == 200
    assert manager.get("/admin/v1/users", headers=keyed("k" * 300)).status_code == 200
