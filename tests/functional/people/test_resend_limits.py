"""A resend that would not be sent leaves the link that works alone."""

import time

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests import settings
from tests.functional.client import Caller, Client, aws_calls
from tests.functional.people.invitations import by_api, newest_token, resend, user_of
from tests.functional.sending import events

A_DAY = 86_400
PHONE = "+4915112345678"


def send_again(cloud: LocalCloud, manager: Caller, times: int) -> None:
    for _ in range(times):
        cloud.advance(61)
        assert resend(manager).status_code == 202
        cloud.run_until_idle()


def test_beyond_the_daily_limit_it_is_refused_and_the_last_link_works(
    cloud: LocalCloud, client: Client, manager: Caller, token: str
) -> None:
    cloud.advance(A_DAY - int(time.time()) % A_DAY + 60)  # a whole day lies ahead
    send_again(cloud, manager, 5)
    cloud.advance(61)
    before = user_of(manager)

    answer = resend(manager)
    assert answer.status_code == 429
    assert A_DAY / 2 < int(answer.headers["Retry-After"]) <= A_DAY
    assert "tomorrow" in answer.json()["detail"]
    assert user_of(manager) == before
    cloud.run_until_idle()
    assert manager.notifications(status="skipped") == []

    cloud.advance(int(answer.headers["Retry-After"]))
    fresh = client.as_("manager")
    assert resend(fresh).status_code == 202
    assert by_api(client, newest_token()).status_code == 404
    cloud.run_until_idle()
    assert by_api(client, newest_token()).status_code == 200


def test_the_link_of_the_last_mail_works_after_a_refusal(
    cloud: LocalCloud, client: Client, manager: Caller, token: str
) -> None:
    with settings.changed(recipient_daily_messages=1):
        cloud.advance(61)
        answer = resend(manager)
    assert answer.status_code == 429
    assert aws_calls(answer) <= 2
    assert by_api(client, token).status_code == 200


def test_messages_of_another_kind_do_not_count(
    cloud: LocalCloud, client: Client, manager: Caller, token: str
) -> None:
    from chalicelib.kernel.jobs.outbox import Transaction
    from chalicelib.kernel.notify import notices

    user_id = user_of(manager)["id"]
    by_api(client, token)
    with Transaction("t1") as tx:
        for _ in range(7):
            to = {"email": "ann@example.com"}
            notices.enqueue(tx, "people.reactivated", to, person_id=user_id)
    cloud.run_until_idle()
    assert len(manager.notifications(status="skipped")) == 2

    moved = manager.patch(f"/admin/v1/users/{user_id}", {"email": "new@example.com"})
    assert moved.status_code == 200
    back = manager.patch(f"/admin/v1/users/{user_id}", {"email": "ann@example.com"})
    assert back.status_code == 200
    cloud.run_until_idle()
    assert by_api(client, newest_token()).status_code == 200


def test_a_phone_that_may_still_be_sent_to_gets_the_new_link(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    manager.create_user(phone=PHONE, send_sms=False)
    cloud.run_until_idle()
    with settings.changed(recipient_daily_messages=1):
        cloud.advance(61)
        assert resend(manager).status_code == 202
        cloud.run_until_idle()

    assert [each.channel for each in mailbox.sent()] == ["email", "sms"]
    assert by_api(client, newest_token()).status_code == 404
    assert manager.notifications(status="skipped") == []


@pytest.mark.parametrize("change", [{"sms_enabled": False}, {"sms_prefixes": "+43"}])
def test_a_phone_that_gets_no_sms_does_not_end_the_link(
    cloud: LocalCloud, client: Client, manager: Caller, change: dict[str, object]
) -> None:
    manager.create_user(phone=PHONE, send_sms=False)
    cloud.run_until_idle()
    token = newest_token()
    with settings.changed(recipient_daily_messages=1, **change):
        cloud.advance(61)
        assert resend(manager).status_code == 429

    assert by_api(client, token).status_code == 200


def test_an_address_that_bounced_keeps_its_link_and_the_notification_says_why(
    cloud: LocalCloud, client: Client, manager: Caller, token: str
) -> None:
    (notification,) = manager.notifications()
    events.bring(cloud, events.about("complaint", notification["id"]))
    cloud.advance(61)
    assert resend(manager).status_code == 202
    cloud.run_until_idle()

    assert manager.notifications()[0]["status"] == "suppressed"
    assert by_api(client, token).status_code == 200


def test_a_manager_invites_no_admin_again(
    cloud: LocalCloud, client: Client, manager: Caller, admin: Caller
) -> None:
    answer = admin.create_user(role="admin")
    cloud.run_until_idle()
    token = newest_token()
    path = f"/admin/v1/users/{answer.json()['data']['user']['id']}/resend-invitation"
    cloud.advance(61)

    assert manager.post(path).status_code == 403
    assert by_api(client, token).status_code == 200
