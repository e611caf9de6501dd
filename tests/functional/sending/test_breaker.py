"""A provider that is down is left alone, and nothing that waits for it is lost or charged."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from infra.local import clock, faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Caller, let_transactions_meet
from tests.functional.sending import notices
from tests.functional.sending.conftest import Configure, assert_within_rate

OPENED_BY = 5  #: failures in a row
THREADS = 10  #: of one worker: calls that may be under way while the breaker opens
FIRST_PAUSE, LONGEST_PAUSE = 15, 300
PROBE = 15
ANN = "ann@example.com"


def addresses(count: int) -> list[str]:
    return [f"u{number}@example.com" for number in range(count)]


def most_calls(outage_seconds: int) -> int:
    """The bound of one worker: those that open the breaker and beside them, then one a pause."""
    pause, at, calls = FIRST_PAUSE, FIRST_PAUSE, OPENED_BY + THREADS - 1
    while at < outage_seconds:
        pause, calls = min(2 * pause, LONGEST_PAUSE), calls + 1
        at += pause
    return calls


def tried(service: str = "ses.SendEmail") -> int:
    """Calls that the provider had to refuse."""
    return faults.counts().get(service, {}).get("faulted", 0)


def go_on(cloud: LocalCloud, seconds: int, *, step: int) -> None:
    for _ in range(0, seconds, step):
        cloud.advance(step)
        cloud.run_until_idle()


def opened(cloud: LocalCloud, service: faults.Service = "ses") -> None:
    """Opens the breaker and leaves the provider down.

    From here on SES says nothing of its mails: that would be half the work, and opens no breaker.
    """
    cloud.mail_events.muted = True
    faults.add(Fault(service, kind="refuse", times=None))
    notices.queue("reminder", *addresses(THREADS))
    cloud.run_until_idle()


def test_the_bound_is_a_few_calls() -> None:
    assert most_calls(600) == OPENED_BY + THREADS - 1 + 5
    assert most_calls(0) == OPENED_BY + THREADS - 1


@pytest.mark.parametrize(
    ("jobs", "rate", "burst"),
    [
        (25, 4, 8),
        pytest.param(80, 14, 50, marks=pytest.mark.thorough),
        pytest.param(5000, 14, 50, marks=pytest.mark.slow),
    ],
)
def test_after_ten_minutes_without_provider_all_is_sent_within_the_rate_and_nothing_charged(
    cloud: LocalCloud,
    manager: Caller,
    configure: Configure,
    sending_times: dict[str, list[float]],
    jobs: int,
    rate: int,
    burst: int,
) -> None:
    cloud.mail_events.muted = True
    configure(tenant_email_per_second=rate, rate_burst=burst)
    faults.add(Fault("ses", kind="refuse", times=None))
    ids = notices.queue("reminder", *addresses(jobs))
    cloud.run_until_idle()
    go_on(cloud, 600, step=10)
    assert 0 < tried() <= most_calls(600)
    assert mailbox.sent() == []

    faults.clear()
    waited = 0
    while len(mailbox.sent()) < jobs and waited < 3600:
        go_on(cloud, 10, step=5)
        waited += 10
    assert Counter(mail.job_id for mail in mailbox.sent()) == Counter(ids)
    assert_within_rate(sending_times["t1 email"], rate, burst)
    # The longest pause, and a few minutes for those who find the bucket empty.
    assert waited <= LONGEST_PAUSE * 1.25 + jobs / rate + 360
    go_on(cloud, 60, step=60)
    rows = aws.rows("kernel")
    found = [row for sk, row in rows.items() if sk.startswith("job#")]
    assert Counter((row["status"]["S"], row["attempts"]["N"]) for row in found) == {
        ("done", "1"): jobs
    }
    assert cloud.state()["queues"]["notify"]["dead"] == 0


def test_calls_that_were_under_way_when_it_opened_do_not_lengthen_the_pause(
    cloud: LocalCloud,
) -> None:
    opened(cloud)
    faults.clear()
    go_on(cloud, 60, step=5)

    assert len(mailbox.sent()) == THREADS


def test_while_it_is_open_nobody_calls(cloud: LocalCloud, manager: Caller) -> None:
    opened(cloud)
    before = tried()
    notices.queue("reminder", *[f"later-{number}@example.com" for number in range(20)])
    cloud.run_until_idle()

    assert tried() == before
    held = manager.job(manager.jobs()[0]["id"])
    assert (held["status"], held["attempts"]) == ("queued", 0)
    assert "SES is down" in held["history"][0]["detail"]


@pytest.mark.parametrize("batch", [3, pytest.param(10, marks=pytest.mark.thorough)])
def test_of_many_workers_one_probes(cloud: LocalCloud, batch: int) -> None:
    opened(cloud)
    mapping = next(each for each in cloud.mappings if each.queue_name.endswith("-notify"))
    mapping = replace(mapping, batch_size=batch)
    for pause in (FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE):
        cloud.advance(pause + 1)
        notices.queue("reminder", *addresses(4 * batch))
        before = tried()
        let_transactions_meet()
        with ThreadPoolExecutor(4) as pool:
            polls = [pool.submit(mapping.poll_once, aws.client("sqs")) for _ in range(4)]
            assert sum(poll.result() for poll in polls) == 4 * batch
        assert tried() == before + 1


def test_a_probe_that_succeeds_opens_the_way_for_all(cloud: LocalCloud, manager: Caller) -> None:
    opened(cloud)
    faults.clear()
    clock.advance(FIRST_PAUSE + 1)
    notices.queue("reminder", ANN)
    cloud.run_until_idle()
    assert len(mailbox.sent()) >= 1

    notices.queue("reminder", *[f"next-{number}@example.com" for number in range(20)])
    cloud.run_until_idle()
    assert len([mail for mail in mailbox.sent() if mail.to.startswith("next-")]) == 20


def test_a_probe_whose_worker_dies_is_followed_by_another(cloud: LocalCloud) -> None:
    class Dead(BaseException):
        pass

    def die(_: mailbox.Sent) -> None:
        mailbox.off_record(die)
        raise Dead

    opened(cloud)
    faults.clear()
    mailbox.on_record(die)
    clock.advance(FIRST_PAUSE + 1)
    cloud.run_until_idle()
    notices.queue("reminder", ANN)
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 1
    go_on(cloud, 3 * PROBE, step=5)  # hers may come while the other probe is under way, and wait

    assert len(mailbox.sent(to=ANN)) == 1


def test_throttling_does_not_open_it(cloud: LocalCloud, manager: Caller) -> None:
    faults.add(Fault("ses", kind="throttle", times=None))
    notices.queue("reminder", *addresses(20))
    cloud.run_until_idle()
    assert tried() == 20

    faults.clear()
    notices.queue("reminder", ANN)
    cloud.run_until_idle()
    assert len(mailbox.sent(to=ANN)) == 1


def test_refused_messages_do_not_open_it(cloud: LocalCloud) -> None:
    faults.add(Fault("ses", kind="refuse", code="MessageRejected", times=20))
    notices.queue("reminder", *addresses(20), ANN)
    cloud.run_until_idle()

    assert tried() == 20
    assert len(mailbox.sent(to=ANN)) == 1


def test_answers_that_stay_lost_open_it_since_each_may_be_a_second_mail(cloud: LocalCloud) -> None:
    cloud.mail_events.muted = True
    faults.add(Fault("ses", "SendEmail", "lose_answer", times=None))
    notices.queue("reminder", *addresses(30))
    cloud.run_until_idle()

    assert OPENED_BY <= len(mailbox.sent()) <= OPENED_BY + THREADS - 1


def test_sms_go_on_while_mails_wait(cloud: LocalCloud) -> None:
    opened(cloud)
    notices.queue("reminder", "+4915112345678")
    cloud.run_until_idle()

    assert len(mailbox.sent(channel="sms")) == 1


def test_a_mail_that_was_sent_is_not_sent_again_because_the_breaker_could_not_be_closed(
    cloud: LocalCloud, manager: Caller
) -> None:
    opened(cloud)
    faults.clear()

    def fail(_: mailbox.Sent) -> None:
        """Refuses the next write, with the SDK's own tries."""
        mailbox.off_record(fail)
        faults.add(Fault("dynamodb", "UpdateItem", "refuse", times=3))

    mailbox.on_record(fail)
    go_on(cloud, 300, step=5)

    assert set(Counter(mail.job_id for mail in mailbox.sent()).values()) == {1}
    assert len(mailbox.sent()) == THREADS
