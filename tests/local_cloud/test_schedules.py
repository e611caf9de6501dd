"""Schedules run when EventBridge would run them, once however far the clock has jumped."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chalice.app import Chalice, CloudWatchEvent, Cron, Rate

from infra.local.schedules import NeverAgainError, ScheduleError, Schedules, next_after

START = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)  # a Tuesday
PATIENCE = 20  # seconds after which a test has failed, never waited for otherwise


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


# When -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("rate(1 minute)", "2030-01-01 12:00:30", "2030-01-01 12:01:30"),
        ("rate(5 minutes)", "2030-01-01 23:58", "2030-01-02 00:03"),
        ("rate(1 hour)", "2030-01-01 12:00", "2030-01-01 13:00"),
        ("rate(2 days)", "2030-02-27 12:00", "2030-03-01 12:00"),
        ("cron(* * * * ? *)", "2030-01-01 12:00:30", "2030-01-01 12:01"),
        ("cron(* * * * ? *)", "2030-01-01 12:00", "2030-01-01 12:01"),  # after, never at
        ("cron(0 10 * * ? *)", "2030-01-01 09:59:59", "2030-01-01 10:00"),  # 10:00 each day
        ("cron(0 10 * * ? *)", "2030-01-01 10:00", "2030-01-02 10:00"),
        ("cron(15 12 * * ? *)", "2030-12-31 12:15", "2031-01-01 12:15"),
        ("cron(0 18 ? * MON-FRI *)", "2030-01-04 18:00", "2030-01-07 18:00"),  # Friday to Monday
        ("cron(0 8 1 * ? *)", "2030-01-01 08:00", "2030-02-01 08:00"),  # first of the month
        ("cron(0/15 * * * ? *)", "2030-01-01 12:46", "2030-01-01 13:00"),
        ("cron(*/15 * * * ? *)", "2030-01-01 12:44", "2030-01-01 12:45"),
        ("cron(1/10 * * * ? *)", "2030-01-01 12:51", "2030-01-01 13:01"),
        ("cron(0/5 8-17 ? * MON-FRI *)", "2030-01-01 17:55", "2030-01-02 08:00"),
        ("cron(0-20/10 * * * ? *)", "2030-01-01 12:20", "2030-01-01 13:00"),
        ("cron(5,35 14 * * ? *)", "2030-01-01 14:05", "2030-01-01 14:35"),
        ("cron(0 0 ? JAN,jul SUN *)", "2030-01-28 00:00", "2030-07-07 00:00"),
        ("cron(0 0 ? * 1 *)", "2030-01-01 00:00", "2030-01-06 00:00"),  # 1 is Sunday
        ("cron(0 0 ? * 7 *)", "2030-01-01 00:00", "2030-01-05 00:00"),  # 7 is Saturday
        ("cron(0 0 31 * ? *)", "2030-01-31 00:00", "2030-03-31 00:00"),  # no 31st of February
        ("cron(0 0 29 2 ? *)", "2030-01-01 00:00", "2032-02-29 00:00"),  # the next leap year
        ("cron(0 0 1 1 ? 2035-2040)", "2030-01-01 00:00", "2035-01-01 00:00"),
    ],
)
def test_the_next_time_is_the_first_after_the_moment(
    expression: str, after: str, expected: str
) -> None:
    assert next_after(expression, at(after)) == at(expected)


def test_a_cron_expression_is_read_in_utc_whatever_the_moments_zone() -> None:
    in_berlin = datetime.fromisoformat("2030-01-01T12:30:00+01:00")
    assert next_after("cron(0 12 * * ? *)", in_berlin) == at("2030-01-01 12:00")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("every minute", "neither"),
        ("rate(0 minutes)", "wants"),
        ("rate(1 minutes)", "wants"),
        ("rate(5 minute)", "wants"),
        ("rate(5 seconds)", "neither"),
        ("cron(0 10 * * *)", "six fields"),
        ("cron(0 10 * * * *)", r"must be \?"),
        ("cron(0 10 ? * ? *)", r"must be \?"),
        ("cron(0 10 L * ? *)", "L, W and # are not supported"),
        ("cron(0 10 15W * ? *)", "L, W and # are not supported"),
        ("cron(0 10 ? * 6#3 *)", "L, W and # are not supported"),
        ("cron(0 10 ? * 5L *)", "L, W and # are not supported"),
        ("cron(60 10 * * ? *)", "no minutes between 0 and 59"),
        ("cron(0 24 * * ? *)", "no hours between 0 and 23"),
        ("cron(0 0 ? * 0 *)", "no day of week between 1 and 7"),
        ("cron(0 0 * 13 ? *)", "no month between 1 and 12"),
        ("cron(0 0 * * ? 1969)", "no year between"),
        ("cron(5-1 0 * * ? *)", "no minutes"),
        ("cron(0/0 0 * * ? *)", "no minutes"),
        ("cron(0/x 0 * * ? *)", "no minutes"),
        ("cron(0/ 0 * * ? *)", "no minutes"),
        ("cron(, 0 * * ? *)", "no minutes"),
        ("cron(? 0 * * ? *)", "no minutes"),
        ("cron(0 0 * ABC ? *)", "no month"),
    ],
)
def test_what_eventbridge_refuses_or_we_cannot_read_is_refused(
    expression: str, message: str
) -> None:
    with pytest.raises(ScheduleError, match=message):
        next_after(expression, START)


@pytest.mark.parametrize("expression", ["cron(0 0 30 2 ? *)", "cron(0 0 1 1 ? 2020)"])
def test_an_expression_without_any_time_left_says_so(expression: str) -> None:
    with pytest.raises(NeverAgainError):
        next_after(expression, START)


# What runs ---------------------------------------------------------------------------------------


class Clinic:
    """An app with two schedules that note what they were given."""

    def __init__(self) -> None:
        self.app = Chalice("clinic")
        self.ran: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.errors: list[tuple[str, BaseException]] = []
        self.swept = threading.Event()

        @self.app.schedule(Rate(1, unit=Rate.MINUTES))
        def sweep(event: CloudWatchEvent) -> None:
            self.note("sweep", event)
            self.swept.set()

        @self.app.schedule(Cron(0, 18, "*", "*", "?", "*"))
        def report(event: CloudWatchEvent) -> None:
            self.note("report", event)

        @self.app.on_sqs_message(queue="other")
        def other(event: object) -> None:
            raise AssertionError("a queue is no schedule")

    def note(self, name: str, event: CloudWatchEvent) -> None:
        self.ran.append(name)
        self.events.append(event.to_dict())

    def schedules(self, **settings: Any) -> Schedules:
        return Schedules(
            self.app, START, on_error=lambda *error: self.errors.append(error), **settings
        )


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


def test_schedules_come_from_the_app(clinic: Clinic) -> None:
    assert clinic.schedules().next_times() == {"sweep": minutes(1), "report": minutes(360)}


def test_nothing_runs_before_its_time(clinic: Clinic) -> None:
    assert clinic.schedules().fire_due(minutes(0.99)) == 0
    assert clinic.ran == []


def test_a_schedule_runs_once_at_each_of_its_times(clinic: Clinic) -> None:
    schedules = clinic.schedules()
    ran = [schedules.fire_due(minutes(half / 2)) for half in range(1, 7)]
    assert ran == [0, 1, 0, 1, 0, 1]


def test_however_far_the_clock_jumps_each_schedule_runs_once_in_the_order_of_their_times(
    clinic: Clinic,
) -> None:
    schedules = clinic.schedules()
    assert schedules.fire_due(START + timedelta(days=3)) == 2
    assert clinic.ran == ["sweep", "report"]
    assert schedules.fire_due(START + timedelta(days=3, seconds=59)) == 0
    assert schedules.fire_due(START + timedelta(days=3, seconds=60)) == 1


def test_a_clock_set_back_does_not_silence_a_schedule(clinic: Clinic) -> None:
    schedules = clinic.schedules()
    schedules.fire_due(START + timedelta(days=30))
    assert schedules.fire_due(START) == 0
    assert schedules.fire_due(minutes(1)) == 1


def test_two_callers_at_once_run_a_due_schedule_once(clinic: Clinic) -> None:
    schedules = clinic.schedules()
    callers = [threading.Thread(target=schedules.fire_due, args=[minutes(1)]) for _ in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert clinic.ran == ["sweep"]


def test_the_event_has_eventbridges_form(clinic: Clinic) -> None:
    clinic.schedules(stage="dev").fire_due(minutes(1.5))
    (event,) = clinic.events
    assert event.pop("id")
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2030-01-01T12:01:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:events:eu-central-1:123456789012:rule/clinic-dev-sweep-event"],
        "detail": {},
    }


def test_one_schedule_may_run_at_another_pace(clinic: Clinic) -> None:
    schedules = clinic.schedules(every_seconds={"sweep": 2})
    assert [schedules.fire_due(START + timedelta(seconds=each)) for each in range(5)] == [
        0,
        0,
        1,
        0,
        1,
    ]


def test_another_pace_for_a_schedule_that_is_not_there_is_refused(clinic: Clinic) -> None:
    with pytest.raises(ScheduleError, match="no schedule named seep"):
        clinic.schedules(every_seconds={"seep": 2})


def test_an_app_with_an_unreadable_schedule_does_not_start(clinic: Clinic) -> None:
    clinic.app.schedule("rate(1 minutes)", name="wrong")(lambda event: None)
    with pytest.raises(ScheduleError, match="EventBridge wants"):
        clinic.schedules(every_seconds={"wrong": 2})


def test_a_schedule_that_raises_is_told_and_runs_again_at_its_next_time(clinic: Clinic) -> None:
    @clinic.app.schedule("rate(1 minute)", name="broken")
    def broken(event: object) -> None:
        raise LookupError("no patients")

    schedules = clinic.schedules()
    schedules.fire_due(minutes(1))
    schedules.fire_due(minutes(2))
    assert [name for name, _ in clinic.errors] == ["clinic-local-broken"] * 2
    assert clinic.ran == ["sweep", "sweep"]


def test_the_last_time_of_a_schedule_is_its_last(clinic: Clinic) -> None:
    clinic.app.schedule("cron(0 13 1 1 ? 2030)", name="once")(
        lambda event: clinic.note("once", event)
    )
    schedules = clinic.schedules()
    schedules.fire_due(START + timedelta(hours=2))
    schedules.fire_due(START + timedelta(days=4000))
    assert clinic.ran.count("once") == 1


def test_the_thread_notices_a_moved_clock_and_stops(clinic: Clinic) -> None:
    now = [START]
    schedules = clinic.schedules()
    schedules.start(lambda: now[0])
    now[0] = minutes(1)
    assert clinic.swept.wait(PATIENCE)
    schedules.stop()
    now[0] = minutes(2)
    assert clinic.ran == ["sweep"]
