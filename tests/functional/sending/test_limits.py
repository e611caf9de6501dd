"""Limits that protect people and money: a tenant's rate, daily limits, countries."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Caller, let_transactions_meet
from tests.functional.sending import notices
from tests.functional.sending.conftest import Configure, assert_within_rate

NUMBER = "+4915112345678"
DAY_SECONDS = 86_400


@pytest.fixture(autouse=True)
def _without_events(cloud: LocalCloud) -> None:
    """What SES says of its mails afterwards would be half the work, and counts for no limit."""
    cloud.mail_events.muted = True


def addresses(count: int) -> list[str]:
    return [f"u{number}@example.com" for number in range(count)]


def go_on(cloud: LocalCloud, seconds: int, *, step: int = 1) -> None:
    for _ in range(0, seconds, step):
        cloud.advance(step)
        cloud.run_until_idle()


@pytest.mark.parametrize("jobs", [20, pytest.param(60, marks=pytest.mark.thorough)])
@pytest.mark.parametrize(
    ("channel", "to"), [("email", addresses), ("sms", lambda count: [NUMBER] * count)]
)
def test_no_window_has_more_than_the_burst_and_what_the_rate_brings(
    cloud: LocalCloud,
    manager: Caller,
    configure: Configure,
    sending_times: dict[str, list[float]],
    channel: mailbox.Channel,
    to: Callable[[int], list[str]],
    jobs: int,
) -> None:
    configure(
        tenant_email_per_second=2,
        tenant_sms_per_second=2,
        rate_burst=5,
        recipient_daily_messages=0,
    )
    notices.queue("reminder", *to(jobs))
    cloud.run_until_idle()
    assert len(mailbox.sent()) >= 5
    go_on(cloud, 200)

    assert len(mailbox.sent(channel=channel)) == jobs
    assert_within_rate(sending_times[f"t1 {channel}"], 2, 5)
    told = [manager.job(job["id"]) for job in manager.jobs()]
    assert {(job["status"], job["attempts"]) for job in told} == {("done", 1)}
    held = [entry for job in told for entry in job["history"][:-1]]
    assert {entry["outcome"] for entry in held} == {"held"}
    assert f"rate of 2 {channel} a second" in held[0]["detail"]
    assert cloud.state()["queues"]["notify"]["dead"] == 0


@pytest.mark.parametrize(
    ("rate", "burst"), [(4, 15), pytest.param(14, 50, marks=pytest.mark.thorough)]
)
def test_a_burst_that_fits_is_sent_at_once(
    cloud: LocalCloud, configure: Configure, rate: int, burst: int
) -> None:
    configure(tenant_email_per_second=rate, rate_burst=burst)
    notices.queue("reminder", *addresses(burst))
    cloud.run_until_idle()

    assert len(mailbox.sent()) == burst


@pytest.mark.parametrize(
    ("jobs", "rate", "burst"), [(42, 2, 2), pytest.param(110, 5, 10, marks=pytest.mark.thorough)]
)
def test_what_waits_for_its_rate_uses_it(
    cloud: LocalCloud, configure: Configure, jobs: int, rate: int, burst: int
) -> None:
    configure(tenant_email_per_second=rate, rate_burst=burst)
    notices.queue("reminder", *addresses(jobs))
    at_best = (jobs - burst) // rate
    go_on(cloud, 6 * at_best, step=2)
    assert len(mailbox.sent()) >= 0.9 * jobs

    go_on(cloud, 600, step=20)  # some draw long waits to the end
    assert len(mailbox.sent()) == jobs


@pytest.mark.parametrize("jobs", [12, pytest.param(100, marks=pytest.mark.thorough)])
def test_another_tenant_is_not_slowed(cloud: LocalCloud, configure: Configure, jobs: int) -> None:
    configure(tenant_email_per_second=1, rate_burst=3)
    notices.queue("reminder", *addresses(jobs))
    notices.queue("reminder", "ann@example.com", "bob@example.com", tenant="t2")
    cloud.run_until_idle()

    assert len(mailbox.sent(tenant_id="t2")) == 2
    assert 3 <= len(mailbox.sent(tenant_id="t1")) < 10


def test_five_unasked_messages_a_day_and_five_on_the_next_and_any_number_that_is_asked_for(
    cloud: LocalCloud, manager: Caller
) -> None:
    for day in (1, 2):
        notices.queue("reminder", *["Ann@example.com"] * 4, *["ann@example.com"] * 4)
        cloud.run_until_idle()
        assert len(mailbox.sent()) == 5 * day
        cloud.advance(DAY_SECONDS)
    notices.queue("code", *["ann@example.com"] * 8)
    cloud.run_until_idle()

    assert len(mailbox.sent()) == 18
    skipped = manager.notifications(status="skipped")
    assert [each["error"] for each in skipped] == ["recipient-daily-limit: 5 a day"] * 6


def test_each_recipient_channel_and_tenant_has_a_count_of_its_own(cloud: LocalCloud) -> None:
    for to in ("ann@example.com", "bob@example.com", NUMBER, "+4915112345679"):
        for tenant in ("t1", "t2"):
            notices.queue("reminder", *[to] * 7, tenant=tenant)
    cloud.run_until_idle()

    assert set(Counter((sent.to, sent.tenant_id) for sent in mailbox.sent()).values()) == {5}
    assert len(mailbox.sent()) == 8 * 5


@pytest.mark.parametrize("kind", ["throttle", "refuse", "lose_answer"])
def test_a_message_that_is_tried_again_is_counted_once(
    cloud: LocalCloud, configure: Configure, kind: faults.Kind
) -> None:
    configure(sms_daily_per_tenant=5)
    cloud.mail_events.muted = True
    for service, operation in (("ses", "SendEmail"), ("sns", "Publish")):
        faults.add(Fault(service, operation, kind, times=4))  # type: ignore[arg-type]
    jobs = notices.queue("reminder", "ann@example.com", NUMBER)
    go_on(cloud, 1200, step=100)
    notices.queue("reminder", *["ann@example.com"] * 9, *[NUMBER] * 9)
    cloud.run_until_idle()

    for channel in ("email", "sms"):
        sent = {mail.job_id for mail in mailbox.sent(channel=channel)}  # type: ignore[arg-type]
        assert len(sent) == 5
        assert sent & set(jobs)


def test_messages_that_had_to_wait_are_counted_too(
    cloud: LocalCloud, manager: Caller, configure: Configure
) -> None:
    configure(tenant_sms_per_second=1, rate_burst=1, sms_daily_per_tenant=6)
    faults.add(Fault("sns", kind="refuse", times=7))
    notices.queue("reminder", *[NUMBER] * 8, *[f"+49151000000{n:02}" for n in range(8)])
    go_on(cloud, 900, step=10)

    assert len(mailbox.sent(channel="sms")) == 6
    assert len(mailbox.sent(to=NUMBER)) <= 5
    assert {job["status"] for job in manager.jobs()} == {"done", "skipped"}


@pytest.mark.parametrize("runs", [1, pytest.param(5, marks=pytest.mark.thorough)])
def test_twenty_workers_at_once_send_one_recipient_exactly_as_many_as_allowed(
    cloud: LocalCloud, manager: Caller, runs: int
) -> None:
    mapping = next(each for each in cloud.mappings if each.queue_name.endswith("-notify"))
    let_transactions_meet()
    for run in range(runs):
        notices.queue("reminder", *[f"ann{run}@example.com"] * 20)
        with ThreadPoolExecutor(20) as pool:
            single = replace(mapping, batch_size=1)
            for poll in [pool.submit(single.poll_once, aws.client("sqs")) for _ in range(20)]:
                assert poll.result() == 1
        assert len(mailbox.sent(to=f"ann{run}@example.com")) == 5
    assert len(manager.notifications(status="skipped")) == runs * 15


def test_twenty_workers_at_once_spend_exactly_a_tenants_sms_of_the_day(
    cloud: LocalCloud, configure: Configure
) -> None:
    configure(sms_daily_per_tenant=7)
    notices.queue("reminder", *[f"+49151000000{number:02}" for number in range(20)])
    mapping = next(each for each in cloud.mappings if each.queue_name.endswith("-notify"))
    let_transactions_meet()
    with ThreadPoolExecutor(20) as pool:
        single = replace(mapping, batch_size=1)
        for poll in [pool.submit(single.poll_once, aws.client("sqs")) for _ in range(20)]:
            assert poll.result() == 1

    assert len(mailbox.sent(channel="sms")) == 7


def test_a_tenants_sms_of_the_day_are_spent_and_come_back_the_next_day(
    cloud: LocalCloud, manager: Caller, other: Caller, configure: Configure
) -> None:
    configure(sms_daily_per_tenant=10)
    numbers = [f"+49151000000{number:02}" for number in range(15)]
    notices.queue("reminder", *numbers)
    notices.queue("reminder", *numbers[:3], tenant="t2")
    cloud.run_until_idle()
    assert len(mailbox.sent(tenant_id="t1")) == 10
    assert len(mailbox.sent(tenant_id="t2")) == 3
    reasons = {each["error"] for each in manager.notifications(status="skipped")}
    assert reasons == {"sms-daily-limit: 10 a day for this tenant"}

    cloud.advance(DAY_SECONDS)
    notices.queue("reminder", *numbers)
    cloud.run_until_idle()
    assert len(mailbox.sent(tenant_id="t1")) == 20


def test_one_number_asked_for_often_does_not_use_up_what_the_tenant_may_send(
    cloud: LocalCloud, configure: Configure
) -> None:
    configure(sms_daily_per_tenant=10)
    notices.queue("reminder", *[NUMBER] * 20)
    cloud.run_until_idle()
    notices.queue("reminder", *[f"+49151000000{number:02}" for number in range(5)])
    cloud.run_until_idle()

    assert len(mailbox.sent(to=NUMBER)) == 5
    assert len(mailbox.sent(channel="sms")) == 10


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+4915112345678", ("sent", None)),
        ("+436641234567", ("sent", None)),
        ("+12025550123", ("skipped", "country-not-allowed")),
        ("+447700900123", ("skipped", "country-not-allowed")),
        ("+88216123456", ("skipped", "country-not-allowed")),
    ],
)
def test_sms_go_to_the_countries_of_the_settings_only(
    cloud: LocalCloud,
    manager: Caller,
    configure: Configure,
    number: str,
    expected: tuple[str, str | None],
) -> None:
    configure(sms_prefixes="+49, +43,")
    manager.create_user(phone=number)
    cloud.run_until_idle()

    assert len(mailbox.sent(channel="sms")) == (expected[0] == "sent")
    assert len(mailbox.sent(channel="email")) == 1
    (sms,) = (each for each in manager.notifications() if each["channel"] == "sms")
    assert (sms["status"], sms["error"]) == expected


@pytest.mark.parametrize(
    "requests",
    [
        15,
        pytest.param(60, marks=pytest.mark.thorough),
        pytest.param(1000, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    ("number", "most", "reason"),
    [
        (NUMBER, 5, "recipient-daily-limit: 5 a day"),
        ("+12025550123", 0, "country-not-allowed"),
    ],
    ids=["one number", "abroad"],
)
def test_however_many_requests_no_more_sms_than_the_limit_and_each_refusal_explained(
    cloud: LocalCloud,
    manager: Caller,
    configure: Configure,
    requests: int,
    number: str,
    most: int,
    reason: str,
) -> None:
    configure(sms_prefixes="+49,+43", tenant_sms_per_second=10)
    create = partial(manager.create_user, phone=number, send_email=False)
    for count in range(requests):
        assert create(email=f"u{count}@example.com").status_code == 201
    cloud.run_until_idle()
    go_on(cloud, 600, step=20)

    assert len(mailbox.sent(channel="sms")) == most
    told = Counter((each["status"], each["error"]) for each in manager.notifications())
    sent = sum(count for (status, _), count in told.items() if status == "sent")
    assert (sent, told["skipped", reason]) == (most, requests - most)
