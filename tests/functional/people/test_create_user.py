"""Creating a user: answered at once, invited a moment later."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller, aws_calls


def test_a_user_is_accepted_in_two_aws_calls_and_the_invitation_arrives_by_mail_and_sms(
    cloud: LocalCloud, manager: Caller
) -> None:
    answer = manager.create_user("Ann", email="ann@example.com", phone="+4915112345678")

    assert answer.status_code == 201
    assert aws_calls(answer) == 2
    assert mailbox.sent() == []
    cloud.run_until_idle()
    assert sorted((each.channel, each.to) for each in mailbox.sent()) == [
        ("email", "ann@example.com"),
        ("sms", "+4915112345678"),
    ]


def test_the_answer_shows_the_user_and_what_was_queued(manager: Caller) -> None:
    answer = manager.create_user("Ann", email="Ann@Example.com", phone="+4915112345678")

    content = answer.json()
    user = content["data"]["user"]
    assert content["success"] is True
    assert content["message"] == "User created successfully and invitations queued"
    assert content["data"]["email_invitation_queued"] is True
    assert content["data"]["sms_invitation_queued"] is True
    assert user == {
        **user,
        "name": "Ann",
        "email": "Ann@Example.com",
        "phone": "+4915112345678",
        "role": "staff",
        "status": "invited",
    }
    assert answer.headers["Location"].endswith(f"/admin/v1/users/{user['id']}")


def test_an_invitation_expires_after_seven_days(manager: Caller) -> None:
    expires_at = manager.create_user().json()["data"]["invitation_expires_at"]

    lifetime = datetime.fromisoformat(expires_at) - datetime.now(UTC)
    assert abs(lifetime - timedelta(days=7)) < timedelta(minutes=1)


def test_a_created_user_can_be_read_at_its_location(manager: Caller) -> None:
    answer = manager.create_user()

    user = answer.json()["data"]["user"]
    read = manager.get(f"/admin/v1/users/{user['id']}")
    assert read.status_code == 200
    assert {**read.json()["data"], **user} == read.json()["data"]
    assert aws_calls(read) == 1


@pytest.mark.parametrize(
    ("wishes", "phone", "channels"),
    [
        ({}, None, ["email"]),
        ({}, "+4915112345678", ["email", "sms"]),
        ({"send_email": False}, "+4915112345678", ["sms"]),
        ({"send_sms": False}, "+4915112345678", ["email"]),
        ({"send_email": False, "send_sms": False}, "+4915112345678", []),
    ],
)
def test_only_the_wanted_channels_are_used(
    cloud: LocalCloud,
    manager: Caller,
    wishes: dict[str, bool],
    phone: str | None,
    channels: list[str],
) -> None:
    answer = manager.create_user(phone=phone, **wishes).json()
    data = answer["data"]

    cloud.run_until_idle()
    assert ("queued" in answer["message"]) is bool(channels)
    assert data["email_invitation_queued"] is ("email" in channels)
    assert data["sms_invitation_queued"] is ("sms" in channels)
    assert sorted(each.channel for each in mailbox.sent()) == channels


@pytest.mark.parametrize("second", ["ann@example.com", "ANN@example.com", "Ann@Example.COM"])
def test_an_address_that_exists_is_a_conflict_in_at_most_two_calls_whatever_its_case(
    cloud: LocalCloud, manager: Caller, second: str
) -> None:
    manager.create_user(email="ann@example.com")

    answer = manager.create_user("Another Ann", email=second)

    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert aws_calls(answer) <= 2
    cloud.run_until_idle()
    assert [user["name"] for user in manager.users()] == ["Ann Example"]
    assert len(mailbox.sent()) == 1


def test_two_tenants_may_have_the_same_address(manager: Caller, other: Caller) -> None:
    assert manager.create_user().status_code == 201
    assert other.create_user().status_code == 201


def test_the_link_in_mail_and_sms_leads_to_the_page_for_accepting(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user(phone="+4915112345678")
    cloud.run_until_idle()

    texts = {message.channel: message.text for message in mailbox.sent()}
    assert texts.keys() == {"email", "sms"}
    for text in texts.values():
        assert f"{cloud.url}/invitations/accept?token=" in text


def test_messages_name_the_tenant_and_carry_its_tag(cloud: LocalCloud, manager: Caller) -> None:
    manager.create_user(phone="+4915112345678")
    cloud.run_until_idle()

    mail, sms = sorted(mailbox.sent(), key=lambda each: each.channel)
    assert mail.subject == "Alder Books invites you"
    assert "Alder Books" in mail.sender
    assert "Alder Books" in sms.text
    assert {mail.tenant_id, sms.tenant_id} == {"t1"}
    assert {mail.job_id, sms.job_id} == {job["id"] for job in manager.jobs()}


def test_only_an_admin_makes_an_admin(cloud: LocalCloud, manager: Caller, admin: Caller) -> None:
    assert manager.create_user(role="admin").status_code == 403
    assert manager.users() == []
    assert admin.create_user(role="admin").status_code == 201


@pytest.mark.parametrize("role", ["manager", "staff", "customer"])
def test_a_manager_gives_every_other_role(manager: Caller, role: str) -> None:
    assert manager.create_user(role=role).json()["data"]["user"]["role"] == role


def test_running_an_invitations_message_again_sends_nothing_again(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    cloud.run_until_idle()
    cloud.advance(3600)
    cloud.run_until_idle()

    assert len(mailbox.sent()) == 1
