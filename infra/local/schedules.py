"""Runs the app's schedules as EventBridge would, on a clock that may be moved.

However far the clock jumps, each schedule that fell due meanwhile runs once: EventBridge does not
make up for missed times either. Only `rate(...)` is supported, the kind that the app uses; any
other expression is refused when the app is loaded.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from chalice.app import Chalice, ScheduledEventConfig, ScheduleExpression

from infra.local import log
from infra.local.activity import Activity
from infra.local.mapping import Function, LambdaContext, OnError

Event: TypeAlias = dict[str, Any]

POLL_SECONDS = 0.5  # how soon a moved clock is noticed
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)(s?)\)")


class ScheduleError(ValueError):
    """An expression that EventBridge refuses, or that is not supported here."""


def period_of(expression: str) -> timedelta:
    """The time between two runs. Raises ScheduleError for anything but a valid `rate(...)`."""
    match = _RATE.fullmatch(expression)
    if match is None:
        raise ScheduleError(
            f"{expression}: the local cloud supports rate(N minutes), rate(N hours) and "
            "rate(N days) only"
        )
    count = int(match[1])
    if count < 1 or (count == 1) == bool(match[3]):
        raise ScheduleError(
            f"{expression}: EventBridge accepts rate(1 minute), and rate(2 minutes) or more"
        )
    return timedelta(**{f"{match[2]}s": count})


@dataclass
class _Schedule:
    name: str  #: as in app.py
    function_name: str  #: as on Lambda
    function: Function
    period: timedelta
    next_at: datetime

    def plan(self, now: datetime) -> None:
        """Runs one period from now."""
        self.next_at = now + self.period


class Schedules:
    """The schedules of an app, from `start` on; `every_seconds` overrides some of them by name."""

    def __init__(
        self,
        app: Chalice,
        start: datetime,
        *,
        stage: str = "local",
        every_seconds: Mapping[str, float] | None = None,
        region: str = "eu-central-1",
        account: str = "123456789012",
        function_timeout_seconds: int = 60,
        on_error: OnError = log.failure,
    ) -> None:
        self._region = region
        self._account = account
        self._timeout_seconds = function_timeout_seconds
        self._on_error = on_error
        self.activity = Activity()
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._last = start
        self._schedules = _schedules_of(app, stage, start, every_seconds or {})

    def next_times(self) -> dict[str, datetime]:
        return {schedule.name: schedule.next_at for schedule in self._schedules}

    def fire_due(self, now: datetime) -> int:
        """Runs every due schedule once, in this thread; returns how many ran."""
        with self._lock:
            due = self._take_due(now)
            for schedule, planned in due:
                with self.activity:
                    self._fire(schedule, planned)
            return len(due)

    def fire_after(self, jump: Callable[[], object], now: Callable[[], datetime]) -> int:
        """Calls `jump`, which moves the clock, then runs what has fallen due; returns how many ran.

        The lock is held throughout, so that the thread of `start` cannot run some of them first.
        """
        with self._lock:
            jump()
            return self.fire_due(now())

    def _take_due(self, now: datetime) -> list[tuple[_Schedule, datetime]]:
        """Planned again before they run, so that a run longer than its period does not pile up."""
        if now < self._last:  # the clock was set back
            for schedule in self._schedules:
                schedule.plan(now)
        self._last = now
        due = [schedule for schedule in self._schedules if schedule.next_at <= now]
        planned = sorted(((s, s.next_at) for s in due), key=lambda pair: pair[1])
        for schedule in due:
            schedule.plan(now)
        return planned

    def _fire(self, schedule: _Schedule, planned: datetime) -> None:
        context = LambdaContext(
            schedule.function_name, self._region, self._account, self._timeout_seconds
        )
        try:
            schedule.function(self._event(schedule, planned), context)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a crash ends the function only
            self._on_error(schedule.function_name, error)

    def _event(self, schedule: _Schedule, planned: datetime) -> Event:
        rules = f"arn:aws:events:{self._region}:{self._account}:rule"
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self._account,
            "time": planned.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": [f"{rules}/{schedule.function_name}-event"],
            "detail": {},
        }

    def run(self, wait: Callable[[float], object], now: Callable[[], datetime]) -> None:
        """Runs what falls due until stop(). `wait(seconds)` may return early but not much later."""
        while not self._stopping.is_set():
            self.fire_after(lambda: None, now)
            wait(POLL_SECONDS)

    def start(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Calls run() in a thread of its own."""
        self._thread = threading.Thread(
            target=self.run, args=[self._stopping.wait, now], name="schedules", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Starts no further run, and returns when the one under way has ended."""
        self._stopping.set()
        if self._thread:
            self._thread.join()


def _schedules_of(
    app: Chalice, stage: str, start: datetime, every_seconds: Mapping[str, float]
) -> list[_Schedule]:
    """The app's schedules, each first due one period after `start`."""
    sources = [s for s in app.event_sources if isinstance(s, ScheduledEventConfig)]
    if unknown := every_seconds.keys() - {source.name for source in sources}:
        raise ScheduleError(f"There is no schedule named {', '.join(sorted(unknown))}")
    schedules = []
    for source in sources:
        period = _period(source)  # an expression that is overridden must be valid too
        if source.name in every_seconds:
            period = timedelta(seconds=every_seconds[source.name])
        function_name = f"{app.app_name}-{stage}-{source.name}"
        function = app.handler_map[source.name]
        schedules.append(_Schedule(source.name, function_name, function, period, start + period))
    return schedules


def _period(source: ScheduledEventConfig) -> timedelta:
    expression: str | ScheduleExpression = source.schedule_expression
    text = expression if isinstance(expression, str) else expression.to_string()
    try:
        return period_of(text)
    except ScheduleError as error:
        raise ScheduleError(f"The schedule {source.name} in app.py cannot run. {error}") from error
