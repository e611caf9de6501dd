"""Events of SES as they really come: addresses of every form, and mails rejected after all."""

import json
from typing import Any

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller
from tests.functional.sending import events, notices
from tests.functional.sending.test_mail_events import ANN, invited, resend, status

SUPPRESSIONS = "/admin/v1/suppressions"

FORMS: list[Any] = [
    "Ann Example <ann@example.com>",
    '"Example, Ann" <ann@example.com>',
    "<ann@example.com>",
    "rfc822;ann@example.com",
    " ann@example.com ",
    "forwarded@elsewhere.example",
    "",
    None,
    7,
]


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize(
    ("event", "why"), [("hard-bounce", "bounced"), ("complaint", "complained")]
)
def test_whatever_the_address_looks_like_the_job_s_recipient_is_suppressed(
    cloud: LocalCloud, manager: Caller, event: str, why: str, form: Any
) -> None:
    job_id = invited(cloud, manager)
    events.bring(cloud, events.about(event, job_id, form))

    assert status(manager, job_id) == why
    listed = manager.listed(SUPPRESSIONS)
    assert [(each["address"], each["reason"]) for each in listed] == [(ANN, why)]
    assert resend(cloud, manager)["status"] == "suppressed"
    assert len(mailbox.sent(channel="email")) == 1


def test_an_event_without_recipients_suppresses_too(cloud: LocalCloud, manager: Caller) -> None:
    job_id = invited(cloud, manager)
    event = json.loads(events.about("hard-bounce", job_id))
    del event["bounce"]["bouncedRecipients"]
    events.bring(cloud, json.dumps(event))

    assert [each["address"] for each in manager.listed(SUPPRESSIONS)] == [ANN]


def test_an_sms_is_not_suppressed_by_an_event_of_a_mail(cloud: LocalCloud, manager: Caller) -> None:
    (job_id,) = notices.queue("reminder", "+4915112345678")
    events.bring(cloud, events.about("hard-bounce", job_id))

    assert manager.listed(SUPPRESSIONS) == []


def test_a_mail_that_ses_rejects_after_taking_it_has_failed_and_says_why(
    cloud: LocalCloud, manager: Caller
) -> None:
    job_id = invited(cloud, manager)
    events.bring(cloud, *[events.about("reject", job_id)] * 2, events.about("send", job_id))

    shown = manager.get(f"/admin/v1/notifications/{job_id}").json()["data"]
    assert shown["status"] == manager.job(job_id)["status"] == "failed"
    assert "SES rejected the mail after taking it: Bad content" in shown["error"]
    assert shown["sent_at"] is None
    for path in ("/admin/v1/notifications", "/admin/v1/jobs"):
        assert [each["id"] for each in manager.listed(path, status="failed")] == [job_id]
    assert manager.notifications(status="sent") == manager.jobs(status="done") == []
    assert manager.listed(SUPPRESSIONS) == []


def test_a_rejection_that_overtakes_the_mark_counts_too(cloud: LocalCloud, manager: Caller) -> None:
    cloud.mail_events.muted = True
    manager.create_user()
    job_id = str(manager.the_job()["id"])

    def reject_at_once(mail: mailbox.Sent) -> None:
        batch = events.batch_of(events.about("reject", str(mail.job_id)))
        cloud.invoke("feedback", batch, events.Context())

    mailbox.on_record(reject_at_once)
    try:
        cloud.run_until_idle()
    finally:
        mailbox.off_record(reject_at_once)

    assert status(manager, job_id) == "failed"
    assert len(mailbox.sent()) == 1
