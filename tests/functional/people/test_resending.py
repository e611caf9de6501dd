"""Sending an invitation again: not at once, not twice, and not to those who need none."""

from collections import Counter
from functools import partial

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller, Client, at_once
from tests.functional.people.invitations import by_api, newest_token, resend, user_of


def test_a_resend_within_a_minute_is_a_429_that_says_when(
    cloud: LocalCloud, manager: Caller, token: str
) -> None:
    answer = resend(manager)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60

    cloud.advance(int(answer.headers["Retry-After"]))
    assert resend(manager).status_code == 202
    assert resend(manager).status_code == 429


def test_a_resend_reaches_mail_and_phone(cloud: LocalCloud, manager: Caller) -> None:
    manager.create_user(phone="+4915112345678", send_email=False, send_sms=False)
    cloud.advance(61)

    assert resend(manager).status_code == 202
    assert mailbox.sent() == []
    cloud.run_until_idle()
    assert sorted(each.channel for each in mailbox.sent()) == ["email", "sms"]


def test_there_is_nothing_to_resend_to_an_active_or_deactivated_user(
    cloud: LocalCloud, client: Client, manager: Caller, token: str
) -> None:
    by_api(client, token)
    cloud.advance(61)
    assert resend(manager).status_code == 409

    manager.delete(f"/admin/v1/users/{user_of(manager)['id']}")
    assert resend(manager).status_code == 409


def test_a_resend_to_nobody_or_to_another_tenants_user_is_a_404(
    cloud: LocalCloud, manager: Caller, other: Caller, token: str
) -> None:
    cloud.advance(61)
    path = f"/admin/v1/users/{user_of(manager)['id']}/resend-invitation"

    assert other.post(path).status_code == 404
    assert manager.post("/admin/v1/users/nobody/resend-invitation").status_code == 404
    assert manager.post(path).status_code == 202


def test_of_eight_resends_at_once_one_is_sent(
    cloud: LocalCloud, manager: Caller, token: str
) -> None:
    cloud.advance(61)
    path = f"/admin/v1/users/{user_of(manager)['id']}/resend-invitation"
    callers = [manager.in_a_session_of_its_own() for _ in range(8)]
    answers = at_once(*(partial(caller.post, path) for caller in callers))

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[202] == 1
    assert set(statuses) <= {202, 409, 429}
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 2


def test_a_resend_before_the_first_was_sent_sends_only_the_new_one(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    manager.create_user()
    cloud.advance(61)
    resend(manager)
    cloud.run_until_idle()

    assert len(mailbox.sent()) == 1
    assert by_api(client, newest_token()).status_code == 200


def test_a_deactivated_users_waiting_invitation_is_skipped(
    cloud: LocalCloud, manager: Caller, token: str
) -> None:
    cloud.advance(61)
    assert resend(manager).status_code == 202
    cloud.run_until_idle()
    cloud.advance(61)
    assert resend(manager).status_code == 202
    assert manager.delete(f"/admin/v1/users/{user_of(manager)['id']}").status_code == 200
    cloud.run_until_idle()

    assert len(mailbox.sent()) == 2
    assert len(manager.jobs(status="skipped")) == 1


def test_a_resend_names_the_version_it_means(cloud: LocalCloud, manager: Caller) -> None:
    user = manager.create_user().json()["data"]["user"]
    path = f"/admin/v1/users/{user['id']}"
    cloud.advance(61)

    refused = manager.post(f"{path}/resend-invitation", headers={"If-Match": '"v999"'})
    assert refused.status_code == 412
    tag = {"If-Match": manager.get(path).headers["ETag"]}
    assert manager.post(f"{path}/resend-invitation", headers=tag).status_code == 202
