"""Queues and tables that are down or lose answers: what was accepted is done later, never lost."""

from datetime import datetime

import pytest

from chalicelib.kernel import cache
from chalicelib.kernel.jobs import ledger
from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Caller, aws_calls
from tests.functional.sending import notices


def test_a_user_is_accepted_while_sqs_refuses_everything_and_the_sweep_delivers_after_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    faults.add(Fault("sqs", kind="refuse", times=None))
    answers = [manager.create_user(email=f"{name}@example.com") for name in ("ann", "bob", "cid")]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert all(answer.json()["data"]["email_invitation_queued"] for answer in answers)

    faults.clear()
    cloud.run_until_idle()
    assert mailbox.sent() == []
    cloud.advance(120)
    cloud.run_until_idle()
    assert sorted(message.to for message in mailbox.sent()) == [
        "ann@example.com",
        "bob@example.com",
        "cid@example.com",
    ]


def test_an_outage_of_hours_delays_what_waits_by_a_minute_not_by_hours(
    cloud: LocalCloud, manager: Caller
) -> None:
    faults.add(Fault("sqs", kind="refuse", times=None))
    manager.create_user()
    for _ in range(4):
        cloud.advance(1800)
    assert faults.counts()["sqs.SendMessageBatch"]["faulted"] >= 4

    faults.clear()
    cloud.advance(60)
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 1


@pytest.mark.parametrize("kind", ["throttle", "lose_answer"])
def test_a_push_that_is_throttled_or_loses_its_answer_is_still_delivered_once(
    cloud: LocalCloud, manager: Caller, kind: faults.Kind
) -> None:
    faults.add(Fault("sqs", "SendMessageBatch", kind, times=10))
    assert manager.create_user().status_code == 201
    assert faults.counts()["sqs.SendMessageBatch"]["faulted"] >= 1

    faults.clear()
    for _ in range(4):
        cloud.advance(61)
        cloud.run_until_idle()
    assert len(mailbox.sent()) == 1
    assert manager.the_job()["attempts"] == 1


@pytest.mark.parametrize("kind", ["refuse", "throttle"])
def test_a_store_that_is_down_answers_503_with_retry_after_and_stores_and_sends_nothing(
    cloud: LocalCloud, manager: Caller, kind: faults.Kind
) -> None:
    manager.get("/admin/v1/users")  # the tenant is known from here on
    faults.add(Fault("dynamodb", "TransactWriteItems", kind, times=None))
    answer = manager.create_user()

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Content-Type"] == "application/problem+json"
    faults.clear()
    assert manager.users() == []
    assert cloud.state()["queues"]["notify"]["waiting"] == 0
    assert manager.create_user().status_code == 201


def test_a_transaction_whose_answer_is_lost_creates_the_user_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.get("/admin/v1/users")
    faults.add(Fault("dynamodb", "TransactWriteItems", "lose_answer", times=1))

    assert manager.create_user().status_code == 201
    assert faults.active() == []  # the answer was lost
    assert len(manager.users()) == 1
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 1


def test_reading_while_the_store_is_down_is_a_503(cloud: LocalCloud, manager: Caller) -> None:
    manager.get("/admin/v1/users")
    faults.add(Fault("dynamodb", "*", "refuse", times=None))

    an_id = "01m81vfpqa4g492km3ew3kvx3r"
    for path in ("users", f"users/{an_id}", "jobs", f"jobs/{an_id}"):
        answer = manager.get(f"/admin/v1/{path}")
        assert answer.status_code == 503, path
        assert "Retry-After" in answer.headers


def test_a_worker_that_cannot_reach_the_store_leaves_its_messages_in_the_queue(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    faults.add(Fault("dynamodb", "*", "refuse", times=None))
    cloud.run_until_idle()
    assert mailbox.sent() == []

    faults.clear()
    cloud.advance(400)
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 1
    assert cloud.state()["queues"]["notify"]["dead"] == 0


def test_a_claim_whose_answer_is_lost_is_recognised_and_sends_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    faults.add(Fault("dynamodb", "UpdateItem", "lose_answer", times=1))
    cloud.run_until_idle()
    assert faults.active() == []  # the answer was lost

    job = manager.the_job()
    assert len(mailbox.sent()) == 1
    assert (job["status"], job["attempts"]) == ("done", 1)
    assert [entry["outcome"] for entry in job["history"]] == ["done"]


def up_to_the_mark() -> None:
    """Lets the claim and the recipient's daily count through: the next update is the mark."""
    faults.add(Fault("dynamodb", "UpdateItem", "delay", times=2, seconds=0))


def test_a_mark_whose_answers_are_lost_is_not_sent_again(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    faults.add(Fault("ses", "SendEmail", "delay", times=1, seconds=0))
    up_to_the_mark()
    faults.add(Fault("dynamodb", "UpdateItem", "lose_answer", times=10))
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 1

    faults.clear()
    for _ in range(8):
        cloud.advance(100)
        cloud.run_until_idle()
    assert len(mailbox.sent()) == 1
    assert manager.the_job()["status"] == "done"


@pytest.mark.parametrize(("events", "mails"), [("come", 1), ("are lost", 2)])
def test_a_mark_that_the_store_refuses_leads_to_a_second_mail_only_when_no_event_came(
    cloud: LocalCloud, manager: Caller, events: str, mails: int
) -> None:
    cloud.mail_events.muted = events == "are lost"
    manager.create_user()
    up_to_the_mark()
    faults.add(Fault("dynamodb", "UpdateItem", "refuse", times=3))  # the call and its two retries
    cloud.run_until_idle()
    assert manager.the_job()["status"] == "running"

    faults.clear()
    for _ in range(8):
        cloud.advance(100)
        cloud.run_until_idle()
    job = manager.the_job()
    assert job["status"] == "done"
    assert len(mailbox.sent()) == mails
    assert job["attempts"] == mails


def test_a_sweep_that_the_store_stops_goes_on_at_the_next_minute(
    cloud: LocalCloud, manager: Caller
) -> None:
    faults.add(Fault("sqs", kind="refuse", times=None))
    manager.create_user()
    faults.clear()
    faults.add(Fault("dynamodb", "Query", "refuse", times=None))
    cloud.advance(120)
    assert faults.counts()["dynamodb.Query"]["faulted"] >= 1
    faults.clear()
    cloud.advance(60)
    cloud.run_until_idle()

    assert len(mailbox.sent()) == 1


def test_a_delivered_job_is_not_pushed_again(cloud: LocalCloud, manager: Caller) -> None:
    manager.create_user()
    cloud.run_until_idle()
    sent_before = faults.counts()["sqs.SendMessageBatch"]["through"]
    for _ in range(5):
        cloud.advance(3600)

    assert faults.counts()["sqs.SendMessageBatch"]["through"] == sent_before


def test_a_refused_push_costs_no_further_call(cloud: LocalCloud, manager: Caller) -> None:
    manager.get("/admin/v1/users")
    faults.add(Fault("sqs", kind="refuse", times=None))

    assert aws_calls(manager.create_user()) == 2


def test_a_job_that_waits_says_when_it_will_be_tried_next(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    faults.add(Fault("ses", kind="throttle", times=1))
    cloud.run_until_idle()

    job = manager.the_job()
    at = datetime.fromisoformat(job["history"][0]["at"])
    waits = datetime.fromisoformat(job["next_attempt_at"]) - at
    assert job["status"] == "queued"
    assert abs(waits.total_seconds() - job["history"][0]["wait_seconds"]) < 2


@pytest.mark.parametrize("name", ["code", "reminder"])
def test_a_tenant_that_cannot_be_read_costs_no_attempt(cloud: LocalCloud, name: str) -> None:
    """A worker that has just started asks whether the tenant is suspended, after the claim."""
    (job_id,) = notices.queue(name, "ann@example.com")
    faults.add(Fault("dynamodb", "Query", "throttle", times=None))
    for _ in range(8):
        cache.forget_all()
        cloud.advance(61)
        cloud.run_until_idle()
    faults.clear()
    for _ in range(60):
        cloud.advance(60)
        cloud.run_until_idle()
    job = ledger.get("t1", job_id, consistent=True)
    assert job is not None
    assert (job.status, int(job.attempts)) == ("done", 1)
    assert len(mailbox.sent()) == 1
