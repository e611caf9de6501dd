"""Tenants as the platform's admins keep them, and what a suspension and the defaults do."""

import re
import time
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.kernel.auth import tenancy
from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller, Client, at_once, aws_calls

TENANTS = "/admin/v1/tenants"
EMPTY = dict.fromkeys(tenancy.DEFAULTS, "")


@pytest.fixture
def platform(client: Client) -> Caller:
    """An admin of the platform, who names no tenant."""
    return client.as_("admin", None)


def conf_calls(answer: Answer) -> int:
    found = re.search(r'conf;desc="(\d+) calls"', answer.headers["Server-Timing"])
    assert found
    return int(found[1])


def forget_nothing_for(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    given = replace(tenancy.settings, config_cache_seconds=seconds)
    monkeypatch.setattr(tenancy, "settings", given)


def pass_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages what the cache remembers: it looks at the monotonic clock, which is always real."""
    from chalicelib.kernel import cache

    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 61)
    monkeypatch.setattr(cache, "time", later)


@pytest.mark.local  # no other tenants may be there
def test_a_tenant_is_created_read_changed_and_listed(platform: Caller) -> None:
    body = {"id": "cedar", "name": "Cedar", "defaults": {"region": "eu-west-1"}}
    created = platform.post(TENANTS, body)
    assert created.status_code == 201
    assert created.json()["data"] == {
        "id": "cedar",
        "name": "Cedar",
        "status": "active",
        "defaults": {**EMPTY, "region": "eu-west-1"},
    }
    assert created.headers["Location"].endswith(f"{TENANTS}/cedar")

    read = platform.get(f"{TENANTS}/cedar")
    assert read.json()["data"] == created.json()["data"]
    assert read.headers["ETag"] == created.headers["ETag"]
    changed = platform.patch(f"{TENANTS}/cedar", {"defaults": {"sender": "Cedar Mail"}})
    assert changed.json()["data"]["defaults"] == {
        **EMPTY,
        "region": "eu-west-1",
        "sender": "Cedar Mail",
    }
    assert changed.json()["data"]["name"] == "Cedar"
    assert [each["id"] for each in platform.listed(TENANTS)] == ["cedar", "t1", "t2"]


def test_a_tenant_without_an_id_gets_one(platform: Caller) -> None:
    tenant = platform.post(TENANTS, {"name": "Cedar"}).json()["data"]

    assert platform.get(f"{TENANTS}/{tenant['id']}").json()["data"] == tenant


@pytest.mark.local  # no other tenants may be there
def test_an_id_that_is_taken_is_a_conflict(platform: Caller) -> None:
    assert platform.post(TENANTS, {"id": "t1", "name": "Another"}).status_code == 409
    assert platform.get(f"{TENANTS}/t1").json()["data"]["name"] == "Alder Books"


@pytest.mark.local  # no other tenants may be there
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": value}, "id")
        for value in ("", "A", "#tenants", "-a", "a_b", "a" * 41, "../t1", "a b", 7)
    ]
    + [({"name": value}, "name") for value in ("", " ", "a" * 201, "a\nb", 7, None)]
    + [({"status": value}, "status") for value in ("bogus", "", "Active", 7, None)]
    + [({"defaults": value}, "defaults") for value in ([], "", 7)]
    + [({"defaults": {"sender": value}}, "defaults.sender") for value in ("a\r\nb", 7, None)],
    ids=repr,
)
def test_a_value_that_cannot_be_taken_is_a_422_that_names_its_field(
    platform: Caller, change: dict[str, Any], field: str
) -> None:
    answer = platform.post(TENANTS, {"id": "cedar", "name": "Cedar", **change})

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert platform.get(f"{TENANTS}/cedar").status_code == 404


@pytest.mark.parametrize("status", ["gone", "", 7, None])
def test_a_status_is_active_or_suspended(platform: Caller, status: Any) -> None:
    assert platform.patch(f"{TENANTS}/t1", {"status": status}).status_code == 422


def test_a_tenant_that_is_not_there_is_a_404(platform: Caller) -> None:
    assert platform.get(f"{TENANTS}/nobody").status_code == 404
    assert platform.patch(f"{TENANTS}/nobody", {"name": "X"}).status_code == 404


@pytest.mark.parametrize("role", ["manager", "staff", "customer"])
def test_only_admins_see_and_change_tenants(client: Client, role: str) -> None:
    caller = client.as_(role)
    answers = [
        caller.get(TENANTS),
        caller.get(f"{TENANTS}/t1"),
        caller.post(TENANTS, {"name": "Cedar"}),
        caller.patch(f"{TENANTS}/t1", {"name": "Mine"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4


@pytest.mark.local  # no other tenants may be there
def test_tenants_come_in_pages(platform: Caller) -> None:
    for number in range(5):
        platform.post(TENANTS, {"id": f"a{number}", "name": "A"})

    pages = list(platform.pages(TENANTS, per_page=3))
    ids = [tenant["id"] for page in pages for tenant in page]
    assert ids == [*(f"a{number}" for number in range(5)), "t1", "t2"]


@pytest.mark.local  # no other tenants may be there
def test_of_eight_who_create_one_tenant_one_does(platform: Caller) -> None:
    callers = [platform.in_a_session_of_its_own() for _ in range(8)]
    body = {"id": "cedar", "name": "Cedar"}
    answers = at_once(*(partial(caller.post, TENANTS, body) for caller in callers))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


def test_a_suspended_tenant_is_refused_once_a_minute_is_over_and_admitted_again_after_it(
    monkeypatch: pytest.MonkeyPatch, platform: Caller, manager: Caller
) -> None:
    assert manager.get("/admin/v1/users").status_code == 200
    assert platform.patch(f"{TENANTS}/t1", {"status": "suspended"}).status_code == 200

    pass_a_minute(monkeypatch)
    for answer in (
        manager.get("/admin/v1/users"),
        manager.create_user(),
        platform.naming("t1").get("/admin/v1/users"),
    ):
        assert answer.status_code == 403
    platform.patch(f"{TENANTS}/t1", {"status": "active"})
    pass_a_minute(monkeypatch)
    assert manager.get("/admin/v1/users").status_code == 200


def test_another_instance_refuses_a_suspended_tenant_within_the_minute(
    monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud, manager: Caller
) -> None:
    manager.get("/admin/v1/users")
    tenancy.record("t1", "Alder Books", status="suspended").save()  # by another instance

    assert manager.get("/admin/v1/users").status_code == 200
    pass_a_minute(monkeypatch)
    assert manager.get("/admin/v1/users").status_code == 403


def test_configuration_is_read_at_most_once_a_minute_and_counted_apart(
    monkeypatch: pytest.MonkeyPatch, manager: Caller
) -> None:
    answers = [manager.get("/admin/v1/users") for _ in range(10)]
    pass_a_minute(monkeypatch)
    answers += [manager.get("/admin/v1/users") for _ in range(3)]

    assert [conf_calls(answer) for answer in answers] == [1, *[0] * 9, 1, 0, 0]
    assert {aws_calls(answer) for answer in answers} == {1}


def test_twenty_at_once_on_a_cold_cache_read_the_configuration_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    callers = [manager.in_a_session_of_its_own() for _ in range(20)]
    faults.add(faults.Fault("dynamodb", "Query", "delay", times=1, seconds=0.2))
    answers = at_once(*(partial(caller.get, "/admin/v1/users") for caller in callers))

    assert {answer.status_code for answer in answers} == {200}
    assert sum(conf_calls(answer) for answer in answers) == 1


def test_how_long_configuration_is_kept_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, manager: Caller
) -> None:
    forget_nothing_for(monkeypatch, 0)

    assert [conf_calls(manager.get("/admin/v1/users")) for _ in range(3)] == [1, 1, 1]


@pytest.mark.local  # no other tenants may be there
def test_a_tenant_is_known_at_once_after_it_was_created(client: Client, platform: Caller) -> None:
    caller = client.as_("manager", "cedar")
    assert caller.get("/admin/v1/users").status_code == 403

    platform.post(TENANTS, {"id": "cedar", "name": "Cedar"})
    assert caller.get("/admin/v1/users").status_code == 200


@pytest.mark.parametrize(
    ("sender", "name"), [("Alder's Desk", "Alder's Desk"), ("", "Alder Books"), ("Köln", "=?utf-8")]
)
def test_the_default_sender_is_the_name_that_mails_come_from(
    cloud: LocalCloud, platform: Caller, manager: Caller, sender: str, name: str
) -> None:
    platform.patch(f"{TENANTS}/t1", {"defaults": {"sender": sender}})
    manager.create_user()
    cloud.run_until_idle()

    (mail,) = mailbox.sent()
    assert name in mail.sender
    assert mail.sender.endswith("<no-reply@example.com>")


@pytest.mark.local  # the path names the local tenant
def test_of_many_changes_of_a_tenant_at_once_none_is_lost_silently(platform: Caller) -> None:
    callers = [platform.in_a_session_of_its_own() for _ in range(6)]
    fields = ("region", "sender", "region", "sender", "region", "sender")
    started = time.monotonic()
    answers = at_once(
        *(
            partial(caller.patch, f"{TENANTS}/t1", {"defaults": {field: f"value-{number}"}})
            for number, (caller, field) in enumerate(zip(callers, fields, strict=True))
        )
    )

    assert {answer.status_code for answer in answers} <= {200, 409}
    tags = [answer.headers["ETag"] for answer in answers if answer.status_code == 200]
    assert len(set(tags)) == len(tags) > 0
    assert time.monotonic() - started < 10
