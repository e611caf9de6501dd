"""What SES and SNS may answer, and what becomes of the message."""

from typing import Any

import pytest
from msgspec.structs import replace

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Caller

PHONE = "+4915112345678"


def work_for(cloud: LocalCloud, minutes: int) -> None:
    for _ in range(minutes):
        cloud.advance(60)
        cloud.run_until_idle()


def outcomes(job: dict[str, Any]) -> list[str]:
    return [entry["outcome"] for entry in job["history"]]


def test_throttled_mails_wait_longer_each_time_and_lose_neither_message_nor_attempt(
    cloud: LocalCloud, manager: Caller
) -> None:
    for number in range(5):
        manager.create_user(email=f"u{number}@example.com")
    faults.add(Fault("ses", kind="throttle", times=15))
    cloud.run_until_idle()
    assert mailbox.sent() == []
    work_for(cloud, 12)

    assert len(mailbox.sent()) == 5
    for listed in manager.jobs():
        job = manager.job(listed["id"])
        waits = [entry["wait_seconds"] for entry in job["history"][:-1]]
        assert (job["status"], job["attempts"]) == ("done", 1)
        assert outcomes(job) == [*["held"] * len(waits), "done"]
        assert waits == sorted(waits)
        assert waits[-1] >= 2 * waits[0] or len(waits) == 1
        assert "TooManyRequestsException" in job["history"][0]["detail"]
    told = [word for each in manager.jobs() for word in outcomes(manager.job(each["id"]))]
    assert told.count("held") == 15
    assert cloud.state()["queues"]["notify"]["dead"] == 0


def test_an_outage_of_ses_for_hours_is_held_without_charge_and_delivered_after_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    faults.add(Fault("ses", kind="refuse", times=None))
    for _ in range(12):
        cloud.advance(1800)
        cloud.run_until_idle()
    job = manager.the_job()
    assert (job["status"], job["attempts"]) == ("queued", 0)
    assert set(outcomes(job)) == {"held"}

    faults.clear()
    for _ in range(3):
        cloud.advance(1800)
        cloud.run_until_idle()
    assert manager.the_job()["status"] == "done"
    assert len(mailbox.sent()) == 1
    assert cloud.state()["queues"]["notify"]["dead"] == 0


def test_an_address_that_ses_refuses_for_good_fails_with_its_reason_and_a_dead_letter(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    faults.add(Fault("ses", kind="refuse", code="MessageRejected", times=1))
    cloud.run_until_idle()

    job = manager.the_job()
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert "MessageRejected" in job["last_error"]
    assert job["finished_at"]
    (notification,) = manager.notifications()
    assert notification["status"] == "failed"
    assert "MessageRejected" in notification["error"]
    assert aws.jobs_named_by(aws.take_messages("notify-dead")) == [job["id"]]


def test_a_failed_message_is_not_tried_again(cloud: LocalCloud, manager: Caller) -> None:
    manager.create_user()
    faults.add(Fault("ses", kind="refuse", code="MessageRejected", times=1))
    cloud.run_until_idle()
    work_for(cloud, 20)

    assert mailbox.sent() == []
    assert manager.the_job()["status"] == "failed"


def test_the_mail_whose_answer_was_lost_is_sent_again_and_the_history_says_so(
    cloud: LocalCloud, manager: Caller
) -> None:
    cloud.mail_events.muted = True  # SES's own word, which would tell that it was sent, is lost
    manager.create_user()
    faults.add(Fault("ses", "SendEmail", "lose_answer", times=1))
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 1
    work_for(cloud, 5)

    job = manager.the_job()
    assert len(mailbox.sent()) == 2
    assert (job["status"], job["attempts"], outcomes(job)) == ("done", 2, ["unconfirmed", "done"])
    assert "no answer" in job["history"][0]["detail"]


def test_the_sdk_itself_never_sends_a_mail_twice(cloud: LocalCloud, manager: Caller) -> None:
    manager.create_user(phone=PHONE)
    faults.add(Fault("ses", "SendEmail", "lose_answer", times=1))
    faults.add(Fault("sns", "Publish", "lose_answer", times=1))
    cloud.run_until_idle()

    assert faults.active() == []  # both answers were lost
    assert sorted(message.channel for message in mailbox.sent()) == ["email", "sms"]


def test_answers_that_stay_lost_end_after_the_allowed_attempts(
    cloud: LocalCloud, manager: Caller
) -> None:
    cloud.mail_events.muted = True
    manager.create_user()
    faults.add(Fault("ses", "SendEmail", "lose_answer", times=None))
    cloud.run_until_idle()
    for _ in range(12):
        cloud.advance(300)
        cloud.run_until_idle()

    job = manager.the_job()
    assert job["status"] == "failed"
    assert job["attempts"] == job["max_attempts"] == len(mailbox.sent())
    assert cloud.state()["queues"]["notify"]["dead"] == 1


def test_an_sms_is_throttled_and_refused_apart_from_the_mail(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user(phone=PHONE)
    faults.add(Fault("sns", kind="throttle", times=1))
    faults.add(Fault("sns", kind="refuse", code="InvalidParameter", times=1))
    cloud.run_until_idle()
    work_for(cloud, 3)

    seen = {each["channel"]: each["status"] for each in manager.notifications()}
    assert seen == {"email": "delivered", "sms": "failed"}


def test_the_invitation_of_a_user_deleted_before_sending_is_skipped_with_its_reason(
    cloud: LocalCloud, manager: Caller
) -> None:
    user = manager.create_user(phone=PHONE).json()["data"]["user"]
    aws.delete_row("people", f"person#{user['id']}")
    cloud.run_until_idle()

    assert mailbox.sent() == []
    told = {each["channel"]: (each["status"], each["error"]) for each in manager.notifications()}
    assert told == dict.fromkeys(("email", "sms"), ("skipped", "user-deleted"))
    assert cloud.state()["queues"]["notify"]["dead"] == 0


def test_without_sms_configured_the_sms_is_skipped_with_its_reason_and_the_mail_sent(
    cloud: LocalCloud, manager: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.kernel.notify import sms

    monkeypatch.setattr(sms, "settings", replace(sms.settings, sms_enabled=False))
    manager.create_user(phone=PHONE)
    cloud.run_until_idle()

    seen = {each["channel"]: (each["status"], each["error"]) for each in manager.notifications()}
    assert seen == {"email": ("delivered", None), "sms": ("skipped", "sms-not-configured")}
    assert [message.channel for message in mailbox.sent()] == ["email"]


def test_an_invitation_that_waited_past_its_expiry_is_not_sent(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    faults.add(Fault("ses", kind="refuse", times=1))
    cloud.run_until_idle()
    cloud.advance(8 * 86_400)
    cloud.run_until_idle()

    assert mailbox.sent() == []
    assert manager.the_job()["status"] == "expired"


@pytest.mark.parametrize(
    "name",
    [
        "{{7*7}}",
        "{% for x in ().__class__ %}",
        "<script>alert(1)</script>",
        'Tom & "Jerry" O\'Neil',
        "李小龍",
        "محمد",
        "😀 Ann",
    ],
)
def test_a_name_arrives_as_the_text_it_is_and_escaped_in_html(
    cloud: LocalCloud, manager: Caller, name: str
) -> None:
    answer = manager.create_user(name)
    cloud.run_until_idle()

    assert answer.json()["data"]["user"]["name"] == name
    (mail,) = mailbox.sent()
    assert f"Hello {name}," in mail.text
    escaped = (
        name.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&#34;")
        .replace("'", "&#39;")
    )
    assert f"Hello {escaped}," in mail.html
