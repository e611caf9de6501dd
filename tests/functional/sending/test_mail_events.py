"""What SES says of a mail after taking it: statuses go forward, bad addresses get no more mail."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local import clock, mailbox
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller
from tests.functional.sending import events, notices

ANN = "ann@example.com"
RANK = ["sent", "delivered", "bounced", "complained"]
_numbers = itertools.count()
EVENT_OF = dict(zip(RANK, ["send", "delivery", "hard-bounce", "complaint"], strict=True))


def invited(cloud: LocalCloud, manager: Caller, email: str = ANN, **values: Any) -> str:
    """Has somebody invited by a mail of which SES has said nothing so far; the job's id."""
    cloud.mail_events.muted = True
    answer = manager.create_user(email=email, **values)
    assert answer.status_code == 201, answer.text
    cloud.run_until_idle()
    (job,) = manager.notifications(recipient=email)
    assert job["status"] == "sent"
    return str(job["id"])


def status(manager: Caller, job_id: str) -> str:
    return str(manager.get(f"/admin/v1/notifications/{job_id}").json()["data"]["status"])


def resend(cloud: LocalCloud, manager: Caller, email: str = ANN) -> dict[str, Any]:
    """Invites the person again; the new notification once the queues are worked."""
    (user,) = manager.users(search=email)
    clock.advance(61)
    assert manager.post(f"/admin/v1/users/{user['id']}/resend-invitation").status_code == 202
    cloud.run_until_idle()
    return max(
        (each for each in manager.notifications(recipient=email) if each["channel"] == "email"),
        key=lambda each: str(each["id"]),
    )


def test_a_mail_is_shown_as_delivered_under_the_id_that_ses_gave_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    manager.create_user()
    cloud.run_until_idle()

    (notification,) = manager.notifications()
    (mail,) = mailbox.sent()
    assert notification["status"] == "delivered"
    assert notification["provider_message_id"] == mail.message_id
    assert manager.the_job()["status"] == "done"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("bounce@simulator.amazonses.com", "bounced"),
        ("bounce+7@simulator.amazonses.com", "bounced"),
        ("complaint@simulator.amazonses.com", "complained"),
        ("success@simulator.amazonses.com", "delivered"),
        ("bounce@example.com", "delivered"),
    ],
)
def test_the_addresses_of_the_mailbox_simulator_behave_as_theirs_do(
    cloud: LocalCloud, manager: Caller, address: str, expected: str
) -> None:
    manager.create_user(email=address)
    cloud.run_until_idle()

    assert [each["status"] for each in manager.notifications()] == [expected]


def test_a_status_only_moves_forward_whatever_the_order_and_however_often_events_come(
    cloud: LocalCloud, manager: Caller
) -> None:
    orders = list(itertools.permutations(RANK))
    cloud.mail_events.muted = True
    for number in range(len(orders)):
        manager.create_user(email=f"u{number}@example.com")
    cloud.run_until_idle()
    mails = manager.notifications()
    seen = {mail["id"]: ["sent"] for mail in mails}
    assert [mail["status"] for mail in mails] == ["sent"] * len(orders)

    for place in range(len(RANK)):
        come = [
            (EVENT_OF[order[place]], mail["id"], mail["recipient"])
            for mail, order in zip(mails, orders, strict=True)
        ]
        for _ in range(2):
            events.bring_together(cloud, *(events.about(*each) for each in come))
        for mail in manager.notifications():
            seen[mail["id"]].append(mail["status"])
    for words in seen.values():
        assert [RANK.index(word) for word in words] == sorted(RANK.index(word) for word in words)
        assert words[-1] == RANK[-1]


def test_a_delivered_mail_may_still_bounce(cloud: LocalCloud, manager: Caller) -> None:
    job_id = invited(cloud, manager)
    events.bring(cloud, events.about("delivery", job_id))
    assert status(manager, job_id) == "delivered"
    events.bring(cloud, events.about("hard-bounce", job_id))

    assert status(manager, job_id) == "bounced"


def test_a_soft_bounce_changes_nothing(cloud: LocalCloud, manager: Caller) -> None:
    job_id = invited(cloud, manager)
    events.bring(cloud, events.about("soft-bounce", job_id))

    assert status(manager, job_id) == "sent"
    assert manager.listed("/admin/v1/suppressions") == []


def test_an_event_is_read_raw_and_wrapped_by_sns(cloud: LocalCloud, manager: Caller) -> None:
    raw, packed = (invited(cloud, manager, f"{name}@example.com") for name in ("raw", "packed"))
    events.bring(
        cloud,
        events.about("delivery", raw),
        events.wrapped(events.about("delivery", packed)),
    )

    assert [status(manager, job_id) for job_id in (raw, packed)] == ["delivered", "delivered"]


@pytest.mark.parametrize(
    ("tenant", "job_id"),
    [("t1", "01m81vfpqa4g492km3ew3kvx3r"), ("nobody", "x"), ("t2", None)],
    ids=["unknown job", "unknown tenant", "job of another tenant"],
)
def test_an_event_of_a_mail_that_is_not_the_tenants_is_harmless(
    cloud: LocalCloud, manager: Caller, other: Caller, tenant: str, job_id: str | None
) -> None:
    mine = invited(cloud, manager)
    for name in ("delivery", "hard-bounce", "complaint"):
        events.bring(cloud, events.about(name, job_id or mine, tenant=tenant))

    assert status(manager, mine) == "sent"
    for caller in (manager, other):
        assert caller.listed("/admin/v1/suppressions") == []
    assert cloud.state()["queues"]["feedback"] == {
        "waiting": 0,
        "in_flight": 0,
        "delayed": 0,
        "dead": 0,
    }


def test_an_event_that_overtakes_the_mark_is_kept(cloud: LocalCloud, manager: Caller) -> None:
    def deliver_at_once(mail: mailbox.Sent) -> None:
        batch = events.batch_of(events.about("delivery", str(mail.job_id)))
        cloud.invoke("feedback", batch, events.Context())

    mailbox.on_record(deliver_at_once)
    try:
        job_id = str(manager.create_user() and manager.the_job()["id"])
        cloud.mail_events.muted = True
        cloud.run_until_idle()
    finally:
        mailbox.off_record(deliver_at_once)

    job = manager.job(job_id)
    assert status(manager, job_id) == "delivered"
    assert (job["status"], job["attempts"], len(mailbox.sent())) == ("done", 1, 1)


@pytest.mark.parametrize(
    ("event", "why"), [("hard-bounce", "bounced"), ("complaint", "complained")]
)
def test_a_bad_address_gets_no_more_mail_of_this_tenant_and_the_notification_says_why(
    cloud: LocalCloud, manager: Caller, other: Caller, event: str, why: str
) -> None:
    events.bring(cloud, events.about(event, invited(cloud, manager, phone="+4915112345678")))
    again = resend(cloud, manager)
    other.create_user(email=ANN)
    cloud.run_until_idle()

    assert again["status"] == "suppressed"
    assert why in again["error"]
    mails = mailbox.sent(channel="email", to=ANN)
    assert [mail.tenant_id for mail in mails] == ["t1", "t2"]
    assert len(mailbox.sent(channel="sms")) == 2
    assert cloud.state()["queues"]["notify"]["dead"] == 0


def test_a_suppressed_address_is_known_however_it_is_written(
    cloud: LocalCloud, manager: Caller
) -> None:
    job_id = invited(cloud, manager, "Ann@Example.com")
    events.bring(cloud, events.about("hard-bounce", job_id, "ANN@example.COM"))

    assert resend(cloud, manager, "Ann@Example.com")["status"] == "suppressed"


def test_the_list_tells_each_address_with_its_reason_to_its_own_tenant_only(
    cloud: LocalCloud, manager: Caller, other: Caller, client: Any
) -> None:
    for number in range(5):
        email = f"u{number}@example.com"
        name = "complaint" if number == 3 else "hard-bounce"
        events.bring(cloud, *[events.about(name, invited(cloud, manager, email), email)] * 2)
    invited(cloud, manager, "fine@example.com")

    listed = manager.listed("/admin/v1/suppressions", per_page=2)
    assert [each["address"] for each in listed] == [f"u{number}@example.com" for number in range(5)]
    assert [each["reason"] for each in listed] == [
        "complained" if number == 3 else "bounced" for number in range(5)
    ]
    assert all(each["since"].endswith("Z") for each in listed)
    assert other.listed("/admin/v1/suppressions") == []
    assert client.as_("staff").get("/admin/v1/suppressions").status_code == 403


def test_an_address_taken_off_the_list_gets_mail_again(
    cloud: LocalCloud, manager: Caller, other: Caller, client: Any
) -> None:
    events.bring(cloud, events.about("hard-bounce", invited(cloud, manager)))
    path, query = "/admin/v1/suppressions", {"address": "Ann@example.com"}
    assert client.as_("staff").delete(path, params=query).status_code == 403
    assert other.delete(path, params=query).status_code == 404
    assert manager.delete(path, params=query).status_code == 200

    assert manager.delete(path, params=query).status_code == 404
    assert manager.listed(path) == []
    assert resend(cloud, manager)["status"] == "sent"
    assert len(mailbox.sent(to=ANN)) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@st.composite
def bodies(draw: Any) -> str:
    """Arbitrary bytes, arbitrary JSON, or an event of which one part is something else."""
    kind = draw(st.sampled_from(["bytes", "json", "event"]))
    if kind == "bytes":
        return str(draw(st.binary(max_size=200)).decode("utf-8", "replace"))
    if kind == "json":
        return json.dumps(draw(JSON))
    event = events.sample(draw(st.sampled_from(["delivery", "hard-bounce", "complaint"])))
    place, path = event, ["eventType", "mail", "tags", "tenant", "messageId"]
    for _ in range(draw(st.integers(0, 5))):
        inner = [key for key, value in place.items() if isinstance(value, dict)]
        if not inner:
            break
        place = place[draw(st.sampled_from(inner))]
    name = draw(st.sampled_from(sorted(place) or path))
    place[name] = draw(JSON | st.lists(JSON, min_size=1, max_size=1))
    body = json.dumps(event)
    return events.wrapped(body) if draw(st.booleans()) else body


WHATEVER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(WHATEVER, max_examples=40)
@given(body=bodies())
def test_no_message_whatever_it_holds_fails_the_batch_it_came_in(
    cloud: LocalCloud, manager: Caller, body: str
) -> None:
    assert_harmless(cloud, manager, body)


@pytest.mark.thorough
@settings(WHATEVER, max_examples=150)
@given(body=bodies())
def test_none_of_many_messages_whatever_they_hold_fails_the_batch_it_came_in(
    cloud: LocalCloud, manager: Caller, body: str
) -> None:
    assert_harmless(cloud, manager, body)


def assert_harmless(cloud: LocalCloud, manager: Caller, body: str) -> None:
    bounced = f"a{next(_numbers)}@example.com"
    (job_id,) = notices.queue("reminder", bounced)
    batch = events.batch_of(body, body, events.about("hard-bounce", job_id))

    assert cloud.invoke("feedback", batch, events.Context()) is None
    path = "/admin/v1/suppressions"
    assert [each["address"] for each in manager.listed(path)] == [bounced]
    assert manager.delete(path, params={"address": bounced}).status_code == 200
