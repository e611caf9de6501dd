"""What follows when nobody knows whether a message went out: each notice's own guarantee.

SES and SNS have no idempotency token. An answer that is lost, or a worker that dies between the
answer and its mark, leaves one of two things: perhaps a second message, or perhaps none.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local import clock, faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from infra.local.poller import drain
from tests.functional import aws
from tests.functional.client import Caller
from tests.functional.sending import events, notices

ANN = "ann@example.com"
NUMBER = "+4915112345678"
LEASE_SECONDS = 90
WINDOW_SECONDS = 120


class Dead(BaseException):
    """What the end of a process looks like from inside."""


class Deaths:
    """Ends workers between the provider's taking a message and their mark."""

    def __init__(self) -> None:
        self.left = 0

    def __call__(self, _: mailbox.Sent) -> None:
        if self.left:
            self.left -= 1
            raise Dead


@pytest.fixture
def deaths(cloud: LocalCloud) -> Iterator[Deaths]:
    made = Deaths()
    mailbox.on_record(made)
    yield made
    mailbox.off_record(made)


def go_on(cloud: LocalCloud, seconds: int, *, step: int = 10) -> None:
    for _ in range(0, seconds, step):
        cloud.advance(step)
        cloud.run_until_idle()


def without_events(cloud: LocalCloud) -> None:
    """Works the queues while SES's events are still on their way."""
    drain(cloud.mappings, aws.client("sqs"))


def lose_answers(service: faults.Service, operation: str, times: int = 1) -> None:
    faults.add(Fault(service, operation, "lose_answer", times=times))


def story(job: dict[str, Any]) -> list[str]:
    return [entry["outcome"] for entry in job["history"]]


def invite(cloud: LocalCloud, manager: Caller, *, muted: bool = False) -> str:
    """An invitation is confirm_then_resend; the job's id, before any worker saw it."""
    cloud.mail_events.muted = muted
    assert manager.create_user(email=ANN).status_code == 201
    return str(manager.the_job()["id"])


def test_confirm_then_resend_sends_one_mail_when_the_event_of_a_lost_answer_comes(
    cloud: LocalCloud, manager: Caller
) -> None:
    job_id = invite(cloud, manager)
    lose_answers("ses", "SendEmail")
    cloud.run_until_idle()
    assert manager.job(job_id)["status"] == "queued"
    go_on(cloud, 300)

    job = manager.job(job_id)
    assert len(mailbox.sent()) == 1
    assert (job["status"], story(job)) == ("done", ["unconfirmed", "done"])
    assert "waiting for the provider's event" in job["history"][0]["detail"]
    (notification,) = manager.notifications()
    assert notification["status"] == "delivered"
    assert notification["provider_message_id"] == mailbox.sent()[0].message_id


def test_confirm_then_resend_sends_again_after_its_window_when_no_event_comes(
    cloud: LocalCloud, manager: Caller
) -> None:
    job_id = invite(cloud, manager, muted=True)
    lose_answers("ses", "SendEmail")
    cloud.run_until_idle()
    go_on(cloud, WINDOW_SECONDS - 10)
    assert len(mailbox.sent()) == 1
    go_on(cloud, 60)

    job = manager.job(job_id)
    assert len(mailbox.sent()) == 2
    assert (job["status"], job["attempts"], story(job)) == ("done", 2, ["unconfirmed", "done"])


def test_an_event_within_the_window_of_the_second_mail_prevents_a_third(
    cloud: LocalCloud, manager: Caller
) -> None:
    job_id = invite(cloud, manager, muted=True)
    lose_answers("ses", "SendEmail", times=2)
    cloud.run_until_idle()
    go_on(cloud, WINDOW_SECONDS + 30)
    assert len(mailbox.sent()) == 2
    go_on(cloud, WINDOW_SECONDS - 40)
    assert len(mailbox.sent()) == 2
    events.bring(cloud, events.about("delivery", job_id))
    go_on(cloud, 300)

    job = manager.job(job_id)
    assert len(mailbox.sent()) == 2
    assert (job["status"], story(job)) == ("done", ["unconfirmed", "unconfirmed", "done"])


def test_confirm_then_resend_after_the_death_of_its_worker_takes_the_event_for_the_mark(
    cloud: LocalCloud, manager: Caller, deaths: Deaths
) -> None:
    job_id = invite(cloud, manager)
    deaths.left = 1
    cloud.run_until_idle()
    assert manager.job(job_id)["status"] == "running"
    go_on(cloud, 600)

    job = manager.job(job_id)
    assert len(mailbox.sent()) == 1
    assert (job["status"], manager.notifications()[0]["status"]) == ("done", "delivered")


def test_a_dead_workers_job_waits_for_an_event_that_comes_only_after_the_takeover(
    cloud: LocalCloud, manager: Caller, deaths: Deaths
) -> None:
    job_id = invite(cloud, manager)
    deaths.left = 1
    without_events(cloud)
    clock.advance(400)  # the lease has ended and the message is visible again
    without_events(cloud)
    taken_over = manager.job(job_id)
    assert (taken_over["status"], taken_over["attempts"]) == ("queued", 1)
    assert story(taken_over) == ["lost", "held"]
    clock.advance(WINDOW_SECONDS / 2)
    go_on(cloud, 300)

    assert len(mailbox.sent()) == 1
    assert manager.job(job_id)["status"] == "done"


def test_a_dead_workers_job_is_sent_again_when_no_event_comes_within_the_window(
    cloud: LocalCloud, manager: Caller, deaths: Deaths
) -> None:
    job_id = invite(cloud, manager, muted=True)
    deaths.left = 1
    cloud.run_until_idle()
    go_on(cloud, LEASE_SECONDS + WINDOW_SECONDS - 10)
    assert len(mailbox.sent()) == 1
    go_on(cloud, 600)

    job = manager.job(job_id)
    assert len(mailbox.sent()) == 2
    assert (job["status"], job["attempts"], story(job)) == ("done", 2, ["lost", "held", "done"])


def test_a_worker_that_dies_each_time_costs_the_allowed_attempts_and_not_one_mail_more(
    cloud: LocalCloud, manager: Caller, deaths: Deaths
) -> None:
    job_id = invite(cloud, manager, muted=True)
    deaths.left = 99
    go_on(cloud, 6 * 1200, step=200)

    job = manager.job(job_id)
    assert job["status"] == "failed"
    assert "without a result" in job["last_error"]
    assert len(mailbox.sent()) == job["max_attempts"]
    assert story(job).count("lost") == job["max_attempts"]


def test_at_least_once_sends_again_after_a_lost_answer_and_after_the_death_of_a_worker(
    cloud: LocalCloud, manager: Caller, deaths: Deaths
) -> None:
    cloud.mail_events.muted = True
    (unanswered,) = notices.queue("reminder", "first@example.com")
    lose_answers("ses", "SendEmail")
    cloud.run_until_idle()
    (unmarked,) = notices.queue("reminder", "second@example.com")
    deaths.left = 1
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 2
    go_on(cloud, 600)

    for job_id, outcome in ((unanswered, "unconfirmed"), (unmarked, "lost")):
        job = manager.job(job_id)
        assert (job["status"], job["attempts"], story(job)) == ("done", 2, [outcome, "done"])
        assert len([mail for mail in mailbox.sent() if mail.job_id == job_id]) == 2


def test_at_least_once_spares_the_second_mail_too_when_the_event_comes_first(
    cloud: LocalCloud, manager: Caller
) -> None:
    (job_id,) = notices.queue("reminder", ANN)
    lose_answers("ses", "SendEmail")
    cloud.run_until_idle()
    go_on(cloud, 300)

    assert len(mailbox.sent()) == 1
    assert manager.job(job_id)["status"] == "done"


@pytest.mark.parametrize("to", [ANN, NUMBER])
def test_at_most_once_is_not_sent_again_after_a_lost_answer_and_says_so(
    cloud: LocalCloud, manager: Caller, to: str
) -> None:
    cloud.mail_events.muted = True
    (job_id,) = notices.queue("code", to)
    lose_answers("ses", "SendEmail")
    lose_answers("sns", "Publish")
    go_on(cloud, 900, step=60)

    job = manager.job(job_id)
    assert len(mailbox.sent()) == 1
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert "at most once" in job["last_error"]
    assert aws.jobs_named_by(aws.take_messages("notify-dead")) == [job_id]


@pytest.mark.parametrize("to", [ANN, NUMBER])
def test_at_most_once_is_not_sent_again_after_the_death_of_its_worker(
    cloud: LocalCloud, manager: Caller, deaths: Deaths, to: str
) -> None:
    cloud.mail_events.muted = True
    (job_id,) = notices.queue("code", to)
    deaths.left = 1
    go_on(cloud, 900, step=60)

    job = manager.job(job_id)
    assert len(mailbox.sent()) == 1
    assert (job["status"], story(job)) == ("failed", ["lost", "failed"])
    assert "at most once" in job["last_error"]


@pytest.mark.parametrize("kind", ["refuse", "throttle"])
def test_at_most_once_is_still_tried_again_when_it_is_certain_that_nothing_went_out(
    cloud: LocalCloud, manager: Caller, kind: faults.Kind
) -> None:
    (job_id,) = notices.queue("code", NUMBER)
    faults.add(Fault("sns", kind=kind, times=2))
    go_on(cloud, 600, step=30)

    job = manager.job(job_id)
    assert len(mailbox.sent()) == 1
    assert (job["status"], job["attempts"], story(job)) == ("done", 1, ["held", "held", "done"])


def test_an_sms_has_no_events_and_is_sent_again_after_a_lost_answer(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user(email=ANN, phone=NUMBER)
    lose_answers("sns", "Publish")
    go_on(cloud, 300)

    assert len(mailbox.sent(channel="sms")) == 2
    assert len(mailbox.sent(channel="email")) == 1


@pytest.mark.parametrize("kind", ["refuse", "throttle", "lose_answer"])
@pytest.mark.parametrize(
    ("to", "service", "operation"), [(ANN, "ses", "SendEmail"), (NUMBER, "sns", "Publish")]
)
def test_the_sdk_makes_one_try_a_call_whatever_comes_back(
    cloud: LocalCloud, to: str, service: faults.Service, operation: str, kind: faults.Kind
) -> None:
    cloud.mail_events.muted = True
    notices.queue("reminder", to)
    faults.add(Fault(service, operation, kind, times=None))
    cloud.run_until_idle()

    assert faults.counts()[f"{service}.{operation}"] == {"through": 0, "faulted": 1}
