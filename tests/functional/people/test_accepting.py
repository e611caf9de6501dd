"""Accepting an invitation: by API and on the page, once, and only with the token that is out."""

import base64
import string
from collections import Counter
from functools import partial

import pytest

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, Client, at_once, aws_calls
from tests.functional.people.invitations import (
    ACCEPT,
    PAGE,
    Accept,
    by_api,
    by_form,
    by_looking,
    newest_token,
    resend,
    user_of,
)

A_DAY = 86_400


def test_accepting_by_api_makes_the_user_active(
    client: Client, manager: Caller, token: str
) -> None:
    answer = by_api(client, token)

    assert answer.status_code == 200
    assert answer.json()["data"] == user_of(manager)
    assert answer.json()["data"]["status"] == "active"
    assert aws_calls(answer) <= 2


def test_accepting_on_the_page_makes_the_user_active(
    client: Client, manager: Caller, token: str
) -> None:
    page = by_looking(client, token)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Alder Books" in page.text
    assert '<form method="post"' in page.text
    assert "<script" not in page.text

    done = by_form(client, token)
    assert done.status_code == 200
    assert done.headers["Content-Type"].startswith("text/html")
    assert user_of(manager)["status"] == "active"


@pytest.mark.parametrize("run", range(3))
@pytest.mark.parametrize(("accept", "others"), [(by_api, 404), (by_form, 200)])
def test_of_eight_who_accept_at_once_exactly_one_does(
    client: Client, manager: Caller, token: str, accept: Accept, others: int, run: int
) -> None:
    clients = [manager.in_a_session_of_its_own().client for _ in range(8)]
    answers = at_once(*(partial(accept, each, token) for each in clients))

    welcomed = ["Already" not in answer.text for answer in answers if answer.status_code == 200]
    assert Counter(answer.status_code for answer in answers) == Counter([200] + [others] * 7)
    assert Counter(welcomed)[True] == 1
    assert user_of(manager)["status"] == "active"


def test_a_hundred_gets_consume_nothing_and_write_nothing(
    client: Client, manager: Caller, token: str
) -> None:
    before = aws.rows("people")
    faults.clear()
    assert {by_looking(client, token).status_code for _ in range(100)} == {200}

    assert {name.partition(".")[2] for name in faults.counts()} <= {"GetItem", "Query"}
    assert aws.rows("people") == before
    assert by_api(client, token).status_code == 200


def test_a_used_token_is_a_404(client: Client, token: str) -> None:
    by_api(client, token)

    assert by_api(client, token).status_code == 404


@pytest.mark.parametrize("again", [by_form, by_looking])
def test_who_clicks_twice_or_opens_the_link_again_reads_that_it_is_accepted(
    client: Client, token: str, again: Accept
) -> None:
    by_form(client, token)

    answer = again(client, token)
    assert answer.status_code == 200
    assert "This invitation has already been accepted" in answer.text
    assert "<button" not in answer.text


@pytest.mark.parametrize("accept", [by_api, by_form, by_looking])
def test_the_earlier_token_stops_working_with_a_resend_and_the_new_one_works(
    cloud: LocalCloud, client: Client, manager: Caller, token: str, accept: Accept
) -> None:
    cloud.advance(61)
    assert resend(manager).status_code == 202
    assert accept(client, token).status_code == 404

    cloud.run_until_idle()
    assert newest_token() != token
    assert accept(client, newest_token()).status_code == 200


@pytest.mark.parametrize("accept", [by_api, by_form, by_looking])
def test_a_token_expires_after_seven_days(
    cloud: LocalCloud, client: Client, manager: Caller, token: str, accept: Accept
) -> None:
    cloud.advance(7 * A_DAY - 60)
    assert by_looking(client, token).status_code == 200
    cloud.advance(A_DAY)

    assert accept(client, token).status_code == 410
    assert user_of(manager)["status"] == "invited"


def test_an_expired_invitation_can_be_sent_again(
    cloud: LocalCloud, client: Client, manager: Caller, token: str
) -> None:
    cloud.advance(8 * A_DAY)
    assert resend(manager).status_code == 202
    cloud.run_until_idle()

    assert by_api(client, token).status_code == 404
    assert by_api(client, newest_token()).status_code == 200


def flipped(token: str) -> list[str]:
    """The token with one bit changed, in each of its bytes."""
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    edited = (bytes([*raw[:at], raw[at] ^ 1, *raw[at + 1 :]]) for at in range(len(raw)))
    return [base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in edited]


def test_an_edited_token_is_a_404_wherever_it_was_edited(
    client: Client, manager: Caller, token: str
) -> None:
    assert {by_api(client, each).status_code for each in flipped(token)} == {404}
    assert {by_looking(client, each).status_code for each in flipped(token)} == {404}
    assert by_api(client, token + "A").status_code == 404
    assert by_api(client, token[:-4]).status_code == 404
    assert user_of(manager)["status"] == "invited"


@pytest.mark.parametrize("accept", [by_api, by_form, by_looking])
def test_a_token_with_another_last_letter_is_a_404(
    client: Client, manager: Caller, token: str, accept: Accept
) -> None:
    """Its last letter holds bits that decode to nothing; no other text may pass for the token."""
    letters = string.ascii_letters + string.digits + "-_"
    others = [token[:-1] + letter for letter in letters if letter != token[-1]]

    for edited in (*others, token + "=", token + "==", " " + token, token + "\n"):
        assert accept(client, edited).status_code == 404, edited[-3:]
    assert user_of(manager)["status"] == "invited"


@pytest.mark.parametrize("accept", [by_api, by_form, by_looking])
@pytest.mark.parametrize("garbage", ["garbage", "....", "a b", "ü", "%00", "<b>", "A" * 900])
def test_garbage_is_a_404(client: Client, cloud: LocalCloud, accept: Accept, garbage: str) -> None:
    assert accept(client, garbage).status_code == 404


@pytest.mark.parametrize("token", ["", "A" * 1001])
def test_a_token_that_is_empty_or_endless_is_a_422(
    client: Client, cloud: LocalCloud, token: str
) -> None:
    assert by_api(client, token).status_code == 422
    assert by_api(client, token).json()["errors"][0]["field"] == "token"
    assert client.send("POST", ACCEPT, json={}).status_code == 422


@pytest.mark.parametrize("query", ["", "?token=", f"?token={'A' * 1001}", "?tok", "?utm_source=x"])
def test_a_link_that_came_in_pieces_shows_the_page(
    client: Client, cloud: LocalCloud, query: str
) -> None:
    answer = client.send("GET", PAGE + query)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "This invitation is unknown" in answer.text


def test_a_cursor_is_no_token(client: Client, manager: Caller, token: str) -> None:
    manager.create_user(email="bob@example.com")
    cursor = manager.get("/admin/v1/users?per_page=1").json()["meta"]["next_cursor"]

    assert by_api(client, cursor).status_code == 404


def test_a_deactivated_users_token_is_a_404_and_their_waiting_invitation_is_skipped(
    cloud: LocalCloud, client: Client, manager: Caller, token: str
) -> None:
    cloud.advance(61)
    resend(manager)
    assert manager.delete(f"/admin/v1/users/{user_of(manager)['id']}").status_code == 200
    cloud.run_until_idle()

    assert len(mailbox.sent()) == 1
    assert [each["status"] for each in manager.notifications()] == ["skipped", "delivered"]
    assert by_api(client, token).status_code == 404


def test_accepting_in_one_tenant_changes_nothing_in_another(
    cloud: LocalCloud, client: Client, manager: Caller, other: Caller, token: str
) -> None:
    other.create_user()
    by_api(client, token)

    assert user_of(manager)["status"] == "active"
    assert user_of(other)["status"] == "invited"


@pytest.mark.local  # the tenant that every run has
@pytest.mark.parametrize("accept", [by_api, by_form, by_looking])
def test_while_the_tenant_is_suspended_nobody_joins_and_no_link_is_sent_until_afterwards(
    client: Client, cloud: LocalCloud, manager: Caller, token: str, accept: Accept
) -> None:
    platform = client.as_("admin", None)
    manager.create_user("Bob", email="bob@example.com")
    platform.patch("/admin/v1/tenants/t1", {"status": "suspended"})
    cloud.run_until_idle()

    refused = accept(client, token)
    platform.patch("/admin/v1/tenants/t1", {"status": "active"})

    assert refused.status_code == 403
    assert by_looking(client, token).status_code == 200
    (bobs,) = manager.listed("/admin/v1/notifications", recipient="bob@example.com")
    assert bobs["status"] == "queued"
    cloud.advance(60)
    cloud.advance(60)
    cloud.run_until_idle()
    (bobs,) = manager.listed("/admin/v1/notifications", recipient="bob@example.com")
    assert bobs["status"] in ("sent", "delivered")


def test_the_page_and_the_mail_show_names_as_text(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    name = "<script>alert('x')</script> & {{ 7 * 7 }} {% raw %}"
    manager.create_user(name)
    cloud.run_until_idle()

    page, mail = by_looking(client, newest_token()).text, mailbox.sent()[0]
    for html in (page, mail.html):
        assert "<script" not in html
        assert "&lt;script&gt;" in html
        assert "{{ 7 * 7 }}" in html
    assert name in mail.text


@pytest.mark.parametrize("send", [by_looking, by_form])
def test_the_page_can_neither_be_framed_cached_nor_tell_its_address(
    client: Client, token: str, send: Accept
) -> None:
    for answer in (send(client, token), send(client, "garbage")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy


def test_a_token_in_a_page_of_an_error_is_not_echoed(client: Client, token: str) -> None:
    foreign = token[:-6] + "AAAAAA"

    page = by_looking(client, foreign)
    assert page.status_code == 404
    assert foreign not in page.text


def test_the_form_takes_forms_only_and_the_api_takes_json_only(client: Client, token: str) -> None:
    assert client.send("POST", PAGE, json={"token": token}).status_code == 415
    assert client.send("POST", ACCEPT, data={"token": token}).status_code == 415
    assert by_api(client, token).status_code == 200
