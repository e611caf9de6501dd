"""Runs the app's schedules as EventBridge would, on a clock that may be moved.

However far the clock jumps, each schedule that fell due meanwhile runs once: EventBridge does not
make up for missed times either. Times are UTC. What AWS defines beyond `* , - / ?` (L, W and #) is
refused rather than read wrongly.
"""

import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from chalice.app import Chalice, ScheduledEventConfig, ScheduleExpression

from infra.local import log
from infra.local.activity import Activity
from infra.local.mapping import Function, LambdaContext, OnError

Event: TypeAlias = dict[str, Any]

NEVER = datetime.max.replace(tzinfo=UTC)
LOOK_SECONDS = 0.5  # how soon a moved clock is noticed
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (  # name, lowest, highest, names of values
    ("minutes", 0, 59, []),
    ("hours", 0, 23, []),
    ("day of month", 1, 31, []),
    ("month", 1, 12, MONTHS),
    ("day of week", 1, 7, DAYS),
    ("year", 1970, 2199, []),
)


class ScheduleError(ValueError):
    """An expression that EventBridge refuses, or that is not supported here."""


class NeverAgainError(ScheduleError):
    """A cron expression without any time left."""


def next_after(expression: str, moment: datetime) -> datetime:
    """The first time after moment; of a rate, one period later."""
    if match := re.fullmatch(r"rate\((\d+) (minute|hour|day)(s?)\)", expression):
        count = int(match[1])
        if count < 1 or (count == 1) == bool(match[3]):
            raise ScheduleError(f"{expression}: EventBridge wants 1 minute, or 2 minutes and more")
        return moment + timedelta(**{match[2] + "s": count})
    if match := re.fullmatch(r"cron\((.+)\)", expression):
        return _next_cron(expression, _parsed(expression, match[1].split()), moment)
    raise ScheduleError(f"{expression}: neither rate(...) nor cron(...)")


def _parsed(expression: str, texts: list[str]) -> list[list[int] | None]:
    """The sorted values of each field, None where it says `?`."""
    if len(texts) != len(FIELDS):
        raise ScheduleError(f"{expression}: a cron expression has six fields")
    if (texts[2] == "?") == (texts[4] == "?"):
        raise ScheduleError(f"{expression}: one of day of month and day of week must be ?")
    try:
        return [
            None if text == "?" and field in (2, 4) else sorted(_values(field, text))
            for field, text in enumerate(texts)
        ]
    except ScheduleError as error:
        raise ScheduleError(f"{expression}: {error}") from error


def _values(field: int, text: str) -> set[int]:
    return {value for part in text.split(",") for value in _part(field, part)}


def _part(field: int, text: str) -> range:
    """One member of a list: `*`, a number or name, a range, each with a step or without."""
    name, lowest, highest, _ = FIELDS[field]
    span, _, step = text.partition("/")
    first, _, last = span.partition("-")
    if span == "*":
        start, end = lowest, highest
    else:
        start = _number(field, first)
        end = _number(field, last) if "-" in span else highest if step else start
    every = int(step) if step.isdecimal() else 1
    if not lowest <= start <= end <= highest or every < 1 or ("/" in text) != step.isdecimal():
        raise ScheduleError(f"{text!r} is no {name} between {lowest} and {highest}")
    return range(start, end + 1, every)


def _number(field: int, text: str) -> int:
    name, lowest, _, names = FIELDS[field]
    if text.upper() in names:
        return names.index(text.upper()) + lowest
    if re.search(r"[LW#]", text, re.IGNORECASE):
        raise ScheduleError(f"{text!r} in {name}: L, W and # are not supported here")
    if not re.fullmatch(r"[0-9]+", text):
        raise ScheduleError(f"{text!r} is no {name}")
    return int(text)


def _next_cron(expression: str, fields: list[list[int] | None], moment: datetime) -> datetime:
    minutes, hours = fields[0] or [], fields[1] or []
    after = moment.astimezone(UTC)
    for day in _days(fields, after.date()):
        for hour in hours:
            for minute in minutes:
                found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                if found > after:
                    return found
    raise NeverAgainError(f"{expression}: no time after {after.isoformat()}")


def _days(fields: list[list[int] | None], first: date) -> Iterator[date]:
    _, _, month_days, months, week_days, years = fields
    for year in (year for year in years or [] if year >= first.year):
        for month in months or []:
            for number in month_days or range(1, 32):
                try:
                    day = date(year, month, number)
                except ValueError:  # the 31st of a shorter month
                    continue
                if day >= first and (not week_days or day.isoweekday() % 7 + 1 in week_days):
                    yield day


@dataclass
class _Schedule:
    name: str  #: as in app.py
    function_name: str  #: as on Lambda
    function: Function
    expression: str
    every_seconds: float | None
    next_at: datetime = NEVER

    def plan(self, moment: datetime) -> None:
        if self.every_seconds:
            self.next_at = moment + timedelta(seconds=self.every_seconds)
            return
        try:
            self.next_at = next_after(self.expression, moment)
        except NeverAgainError:
            self.next_at = NEVER


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
        self._schedules = _schedules_of(app, stage, dict(every_seconds or {}))
        for schedule in self._schedules:
            schedule.plan(start)

    def next_times(self) -> dict[str, datetime]:
        return {schedule.name: schedule.next_at for schedule in self._schedules}

    def fire_due(self, now: datetime) -> int:
        """Runs each schedule whose time has come, once, in this thread; how many ran."""
        with self._lock:
            due = self._take_due(now)
            for schedule, planned in due:
                with self.activity:
                    self._fire(schedule, planned)
            return len(due)

    def fire_after(self, jump: Callable[[], object], now: Callable[[], datetime]) -> int:
        """Moves the clock, and returns when all that fell due thereby has run; how many ran.

        Nothing else fires in between, or the thread of `start` would take a part of it.
        """
        with self._lock:
            jump()
            return self.fire_due(now())

    def _take_due(self, now: datetime) -> list[tuple[_Schedule, datetime]]:
        """Planned anew before they run: what takes longer than its period is not piled up."""
        if now < self._last:  # the clock was set back
            for schedule in self._schedules:
                schedule.plan(now)
        self._last = now
        due = [(each, each.next_at) for each in self._schedules if each.next_at <= now]
        for schedule, _ in due:
            schedule.plan(now)
        return sorted(due, key=lambda pair: pair[1])

    def _fire(self, schedule: _Schedule, planned: datetime) -> None:
        context = LambdaContext(
            schedule.function_name, self._region, self._account, self._timeout_seconds
        )
        try:
            schedule.function(self._event(schedule, planned), context)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a crash ends the function, not us
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
        """Runs what falls due until stop(). wait(seconds) may return early, never much later."""
        while not self._stopping.is_set():
            self.fire_after(lambda: None, now)
            wait(LOOK_SECONDS)

    def start(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """As run(), in a thread of its own."""
        self._thread = threading.Thread(
            target=self.run, args=[self._stopping.wait, now], name="schedules", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Returns when what runs has ended; begins no other."""
        self._stopping.set()
        if self._thread:
            self._thread.join()


def _schedules_of(app: Chalice, stage: str, every_seconds: dict[str, float]) -> list[_Schedule]:
    schedules = [
        _Schedule(
            source.name,
            f"{app.app_name}-{stage}-{source.name}",
            app.handler_map[source.name],
            _text(source.schedule_expression),
            every_seconds.pop(source.name, None),
        )
        for source in app.event_sources
        if isinstance(source, ScheduledEventConfig)
    ]
    if every_seconds:
        raise ScheduleError(f"no schedule named {', '.join(sorted(every_seconds))}")
    for schedule in schedules:
        _refuse_unreadable(schedule.expression)
    return schedules


def _refuse_unreadable(expression: str) -> None:
    """An expression that is overridden here must still be one that EventBridge takes."""
    next_after(expression, datetime(1970, 1, 1, tzinfo=UTC))


def _text(expression: str | ScheduleExpression) -> str:
    return expression if isinstance(expression, str) else expression.to_string()
