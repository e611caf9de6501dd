"""Jobs and notifications as an operator reads them."""

from typing import Any

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws, sample_jobs
from tests.functional.client import Caller, aws_calls

PHONE = "+4915112345678"


def test_a_queued_message_is_queued_and_never_called_sent(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user(phone=PHONE)

    notifications = manager.notifications()
    assert {each["channel"] for each in notifications} == {"email", "sms"}
    for notification in notifications:
        assert notification["status"] == "queued"
        assert notification["sent_at"] is None
        assert notification["provider_message_id"] is None
        assert notification["attempts"] == 0
    assert {job["status"] for job in manager.jobs()} == {"queued"}


def test_a_sent_message_shows_when_and_under_which_id_of_the_provider(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user(phone=PHONE)
    cloud.run_until_idle()

    seen = {each["channel"]: each for each in manager.notifications()}
    shown = {"email": "delivered", "sms": "sent"}  # of SMS nobody tells what became of them
    assert seen.keys() == shown.keys()
    assert seen["email"]["recipient"] == "ann@example.com"
    assert seen["sms"]["recipient"] == PHONE
    for notification in seen.values():
        assert notification["kind"] == "people.invitation"
        assert notification["status"] == shown[notification["channel"]]
        assert notification["attempts"] == 1
        assert notification["provider_message_id"]
        assert notification["error"] is None
        assert notification["created_at"] <= notification["sent_at"]


def test_one_notification_is_what_the_list_shows_of_it(cloud: LocalCloud, manager: Caller) -> None:
    manager.create_user(phone=PHONE)

    notifications = manager.notifications()
    assert {each["channel"] for each in notifications} == {"email", "sms"}
    for listed in notifications:
        one = manager.get(f"/admin/v1/notifications/{listed['id']}")
        assert one.json()["data"] == {**one.json()["data"], **listed}
        assert aws_calls(one) == 1


def test_one_job_is_what_the_list_shows_of_it_and_its_history(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    faults.add(Fault("ses", kind="throttle", times=1))
    cloud.run_until_idle()

    (listed,) = manager.jobs()
    one = manager.job(listed["id"])
    assert one == {**one, **listed}
    assert "history" not in listed
    assert {
        "id", "type", "status", "attempts", "max_attempts", "last_error", "next_attempt_at",
        "batch_id", "created_at", "finished_at",
    } <= set(listed)  # fmt: skip
    assert [entry["outcome"] for entry in one["history"]] == ["held"]
    assert {"at", "outcome", "detail", "wait_seconds"} <= set(one["history"][0])


def test_a_job_that_is_no_message_is_no_notification(manager: Caller) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "x"}))

    assert manager.job(job_id)["type"] == "functional.count"
    assert manager.get(f"/admin/v1/notifications/{job_id}").status_code == 404
    assert manager.notifications() == []
    assert [job["id"] for job in manager.jobs()] == [job_id]


@pytest.fixture(scope="module")
def kept() -> dict[str, list[dict[str, Any]]]:
    """The rows of `mixed` by table, once they were made."""
    return {}


@pytest.fixture
def mixed(cloud: LocalCloud, manager: Caller, kept: dict[str, list[dict[str, Any]]]) -> None:
    """Ann: mail failed, SMS sent. Bob: mail delivered. Cid: mail queued. And a job that is done."""
    if not kept:
        make_mixed(cloud, manager)
        kept.update({table: [*aws.rows(table).values()] for table in ("people", "kernel")})
        return
    for table, rows in kept.items():
        aws.put_rows(table, rows)


def make_mixed(cloud: LocalCloud, manager: Caller) -> None:
    faults.add(Fault("ses", kind="refuse", code="MessageRejected", times=1))
    manager.create_user("Ann", email="ann@example.com", phone=PHONE)
    cloud.run_until_idle()
    manager.create_user("Bob", email="Bob@Example.com")
    sample_jobs.enqueue(("count", {"label": "x"}))
    cloud.run_until_idle()
    manager.create_user("Cid", email="cid@example.com")


@pytest.mark.parametrize(
    ("query", "recipients"),
    [
        ({}, ["Bob@Example.com", PHONE, "ann@example.com", "cid@example.com"]),
        ({"status": "sent"}, [PHONE]),
        ({"status": "delivered"}, ["Bob@Example.com"]),
        ({"status": "failed"}, ["ann@example.com"]),
        ({"status": "queued"}, ["cid@example.com"]),
        ({"status": "sending"}, []),
        ({"status": "bounced"}, []),
        ({"recipient": "ann@example.com"}, ["ann@example.com"]),
        ({"recipient": "bob@example.com"}, ["Bob@Example.com"]),
        ({"recipient": PHONE}, [PHONE]),
        ({"recipient": PHONE, "status": "failed"}, []),
        ({"recipient": "nobody@example.com"}, []),
        ({"kind": "people.invitation", "status": "failed"}, ["ann@example.com"]),
        ({"kind": "people.other"}, []),
    ],
    ids=str,
)
def test_notifications_are_filtered(
    manager: Caller, mixed: None, query: dict[str, str], recipients: list[str]
) -> None:
    found = manager.notifications(**query)

    assert sorted(each["recipient"] for each in found) == sorted(recipients)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 5),
        ({"status": "done"}, 3),
        ({"status": "failed"}, 1),
        ({"status": "queued"}, 1),
        ({"status": "running"}, 0),
        ({"type": "functional.count"}, 1),
        ({"type": "people.invitation"}, 4),
        ({"type": "people.invitation", "status": "done"}, 2),
        ({"type": "people"}, 0),
    ],
    ids=str,
)
def test_jobs_are_filtered(manager: Caller, mixed: None, query: dict[str, str], count: int) -> None:
    assert len(manager.jobs(**query)) == count


def test_a_message_that_was_suppressed_is_among_jobs_a_skipped_one(
    cloud: LocalCloud, manager: Caller
) -> None:
    user = manager.create_user(email="bounce@simulator.amazonses.com").json()["data"]["user"]
    cloud.run_until_idle()
    cloud.advance(61)
    manager.post(f"/admin/v1/users/{user['id']}/resend-invitation")
    sample_jobs.enqueue(("skip", {"label": "x"}), ("count", {"label": "x"}))
    cloud.run_until_idle()

    (suppressed,) = manager.notifications(status="suppressed")
    assert manager.notifications(status="skipped") == []
    skipped = manager.jobs(status="skipped")
    assert {job["type"] for job in skipped} == {"people.invitation", "functional.skip"}
    assert {job["status"] for job in skipped} == {"skipped"}
    job = manager.job(suppressed["id"])
    assert (job["status"], job["last_error"]) == ("skipped", suppressed["error"])
    assert [entry["outcome"] for entry in job["history"]] == ["skipped"]


@pytest.mark.parametrize("path", ["/admin/v1/jobs", "/admin/v1/notifications"])
def test_the_newest_come_first_page_by_page(cloud: LocalCloud, manager: Caller, path: str) -> None:
    for number in range(7):
        manager.create_user(email=f"u{number}@example.com")
    pages = list(manager.pages(path, per_page=3))
    created = [record["created_at"] for page in pages for record in page]

    assert [len(page) for page in pages] == [3, 3, 1]
    assert created == sorted(created, reverse=True)
    assert len({record["id"] for page in pages for record in page}) == 7


@pytest.mark.parametrize(
    "path",
    [
        "/admin/v1/jobs?status=sent",
        "/admin/v1/jobs?status=suppressed",
        "/admin/v1/notifications?status=done",
    ],
)
def test_a_status_of_the_other_list_is_a_422(manager: Caller, path: str) -> None:
    assert manager.get(path).status_code == 422
