"""Schedules run when EventBridge would run them, once however far the clock has jumped."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chalice.app import Chalice, CloudWatchEvent, Cron, Rate

from infra.local.schedules import ScheduleError, Schedules, period_of

START = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
PATIENCE = 20  # seconds; the time limit of every wait


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


# When -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "period"),
    [
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(5 minutes)", timedelta(minutes=5)),
        ("rate(1 hour)", timedelta(hours=1)),
        ("rate(2 days)", timedelta(days=2)),
    ],
)
def test_a_rate_is_the_time_between_two_runs(expression: str, period: timedelta) -> None:
    assert period_of(expression) == period


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("every minute", "supports rate"),
        ("rate(5 seconds)", "supports rate"),
        ("cron(0 10 * * ? *)", "supports rate"),
        ("rate(0 minutes)", "EventBridge accepts"),
        ("rate(1 minutes)", "EventBridge accepts"),
        ("rate(5 minute)", "EventBridge accepts"),
    ],
)
def test_what_eventbridge_refuses_or_the_local_cloud_does_not_support_is_refused(
    expression: str, message: str
) -> None:
    with pytest.raises(ScheduleError, match=message):
        period_of(expression)


# What runs ---------------------------------------------------------------------------------------


class Clinic:
    """An app with two schedules that record their events."""

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

        @self.app.schedule("rate(6 hours)")
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
    ran = [schedules.fire_due(START + timedelta(seconds=seconds)) for seconds in range(5)]
    assert ran == [0, 0, 1, 0, 1]


def test_another_pace_for_a_schedule_that_is_not_there_is_refused(clinic: Clinic) -> None:
    with pytest.raises(ScheduleError, match="no schedule named seep"):
        clinic.schedules(every_seconds={"seep": 2})


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (
            Cron(0, 18, "*", "*", "?", "*"),
            r"cron\(0 18 \* \* \? \*\): the local cloud supports rate",
        ),
        ("rate(1 minutes)", "EventBridge accepts"),
    ],
)
@pytest.mark.parametrize("every_seconds", [{}, {"report_weekly": 2}])
def test_an_app_with_an_unsupported_schedule_does_not_start(
    clinic: Clinic, expression: Cron | str, reason: str, every_seconds: dict[str, float]
) -> None:
    clinic.app.schedule(expression, name="report_weekly")(lambda event: None)

    with pytest.raises(ScheduleError, match=f"schedule report_weekly in app.py.*{reason}"):
        clinic.schedules(every_seconds=every_seconds)


def test_a_schedule_that_raises_is_reported_and_runs_again_at_its_next_time(clinic: Clinic) -> None:
    @clinic.app.schedule("rate(1 minute)", name="broken")
    def broken(event: object) -> None:
        raise LookupError("no patients")

    schedules = clinic.schedules()
    schedules.fire_due(minutes(1))
    schedules.fire_due(minutes(2))
    assert [name for name, _ in clinic.errors] == ["clinic-local-broken"] * 2
    assert clinic.ran == ["sweep", "sweep"]


def test_the_thread_notices_a_moved_clock_and_stops(clinic: Clinic) -> None:
    now = [START]
    schedules = clinic.schedules()
    schedules.start(lambda: now[0])
    now[0] = minutes(1)
    assert clinic.swept.wait(PATIENCE)
    schedules.stop()
    now[0] = minutes(2)
    assert clinic.ran == ["sweep"]
