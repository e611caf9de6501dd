"""A function without one of its rights fails at home as it would on AWS.

That every right is needed by some test is what `make test` shows at its end (tests/rights.py).
"""

import pytest

from infra.local import mailbox, roles
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller


def denied() -> set[tuple[str, str]]:
    """Functions and actions that were refused; each refusal is asked for by its test."""
    texts = [
        (each.function, each.text.rpartition("allows the ")[2]) for each in roles.take_denials()
    ]
    return {(function, text.removesuffix(" action")) for function, text in texts}


def test_a_route_fails_and_nothing_is_written(cloud: LocalCloud, manager: Caller) -> None:
    with roles.without("api_handler", "Records", "dynamodb:PutItem"):
        assert manager.create_user().status_code >= 500
        assert denied() == {("api_handler", "dynamodb:PutItem")}
    assert manager.get("/admin/v1/users").json()["data"] == []


def test_a_job_in_a_thread_of_the_worker_fails_and_no_mail_is_sent(
    cloud: LocalCloud, manager: Caller
) -> None:
    with roles.without("notify", "Mail", "ses:SendEmail"):
        manager.create_user()
        cloud.run_until_idle()
        assert denied() == {("notify", "ses:SendEmail")}
    assert mailbox.sent() == []


def test_a_step_of_a_workflow_fails(cloud: LocalCloud, manager: Caller) -> None:
    with roles.without("provision", "Projects", "dynamodb:UpdateItem"):
        made = manager.post("/admin/v1/projects", {"name": "Alder"}).json()["data"]["id"]
        cloud.run_until_idle()
        assert denied() == {("provision", "dynamodb:UpdateItem")}
    assert manager.get(f"/admin/v1/projects/{made}").json()["data"]["status"] != "active"


def test_a_queue_that_the_mapping_may_not_read_is_not_worked(
    cloud: LocalCloud, manager: Caller
) -> None:
    with roles.without("notify", "Receive", "sqs:ReceiveMessage"):
        manager.create_user()
        cloud.run_until_idle()
        assert denied() == {("notify", "sqs:ReceiveMessage")}
    cloud.run_until_idle()
    assert [mail.channel for mail in mailbox.sent()] == ["email"]


def test_nobody_is_let_in_by_an_authorizer_that_may_read_nothing(
    cloud: LocalCloud, manager: Caller
) -> None:
    person = manager.create_user(email="mia@example.com", role="manager")
    assert person.status_code == 201
    mia = manager.client.as_("manager", sub="mia", email="mia@example.com", email_verified=True)
    with roles.without("authorize", "SignIn", "dynamodb:GetItem"):
        assert mia.get("/admin/v1/users").status_code >= 500
        assert denied() == {("authorize", "dynamodb:GetItem")}


def test_a_right_that_is_not_there_cannot_be_taken_out() -> None:
    with (
        pytest.raises(KeyError, match="notify: Mail ses:SendRawEmail"),
        roles.without("notify", "Mail", "ses:SendRawEmail"),
    ):
        pass
