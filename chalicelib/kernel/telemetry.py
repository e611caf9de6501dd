"""What happened and how long it took: one log line and a few metrics per request and per job.

No address, phone number or token ever reaches a log line: callers log ids and words of their own,
never what a client sent. AWS calls are counted by botocore hooks into the meter of the current
request or job; calls made inside `configuration()` are counted apart (`conf`).

Both lines are written here and not by Powertools: its logger and metrics take a tenth of the CPU
of an accepted request and 4 % of a cold start.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import msgspec

from chalicelib.kernel import clock
from chalicelib.kernel.settings import settings

SERVICE = "backburner"
NAMESPACE = "Backburner"
_OF_ITS_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_json = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


class _Line(logging.Formatter):
    """A record as one line of JSON, which CloudWatch Logs Insights takes apart."""

    def format(self, record: logging.LogRecord) -> str:
        told = {name: value for name, value in vars(record).items() if name not in _OF_ITS_OWN}
        line = {
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": clock.iso(clock.now()),
            "service": SERVICE,
            **told,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _json.encode(line).decode()


class Log:
    """The application's log. A line is a message that never varies, and words beside it."""

    def __init__(self, level: str) -> None:
        self._logger = logging.getLogger(SERVICE)
        lines = logging.StreamHandler(sys.stdout)
        lines.setFormatter(_Line())
        self._logger.handlers = [lines]
        self._logger.propagate = False  # Lambda's own handler would write each line again
        self.setLevel(level)

    def setLevel(self, level: int | str) -> None:  # noqa: N802  as the standard library's
        known = level if isinstance(level, int) else logging.getLevelNamesMapping().get(level)
        self._logger.setLevel(logging.INFO if known is None else known)

    def info(self, message: str, **told: Any) -> None:
        self._tell(logging.INFO, message, told)

    def warning(self, message: str, **told: Any) -> None:
        self._tell(logging.WARNING, message, told)

    def error(self, message: str, **told: Any) -> None:
        self._tell(logging.ERROR, message, told)

    def exception(self, message: str, **told: Any) -> None:
        self._tell(logging.ERROR, message, told, traced=True)

    def _tell(
        self, level: int, message: str, told: dict[str, Any], *, traced: bool = False
    ) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, exc_info=traced, extra=told)


log = Log(settings.log_level)


class Meter(msgspec.Struct):
    """AWS calls of one request or job."""

    started: float = msgspec.field(default_factory=time.perf_counter)
    calls: list[str] = msgspec.field(default_factory=list)  #: `dynamodb.Query`, in order
    aws_ms: float = 0.0
    conf_calls: int = 0
    slowest_ms: float = 0.0

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)
_configuring: ContextVar[bool] = ContextVar("configuring", default=False)


@contextlib.contextmanager
def measured() -> Iterator[Meter]:
    """Counts the AWS calls made inside into a new meter."""
    meter = Meter()
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


@contextlib.contextmanager
def configuration() -> Iterator[None]:
    """Calls made inside read configuration: counted as `conf`, not as the request's own."""
    token = _configuring.set(True)
    try:
        yield
    finally:
        _configuring.reset(token)


def count_calls(session: Any) -> None:
    """Registers the counting hooks; only clients made from `session` afterwards are counted."""
    session.register("before-call", _call_begins)
    session.register("after-call", _call_ends)
    session.register("after-call-error", _call_ends)


def _call_begins(model: Any, context: Any, **_: Any) -> None:
    meter = _meter.get()
    if meter is None:
        return
    context["backburner_started"] = time.perf_counter()
    if _configuring.get():
        meter.conf_calls += 1
    else:
        meter.calls.append(f"{model.service_model.service_name}.{model.name}")


def _call_ends(context: Any, **_: Any) -> None:
    meter, started = _meter.get(), context.get("backburner_started")
    if meter is None or started is None or _configuring.get():
        return
    spent_ms = (time.perf_counter() - started) * 1000
    meter.aws_ms += spent_ms
    meter.slowest_ms = max(meter.slowest_ms, spent_ms)


def emit(counts: dict[str, float], **dimensions: str) -> None:
    """Writes metrics as one embedded-format line: names in `_ms` are times, others counts.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    if settings.stage == "local":
        return  # nobody reads them there
    words = {"service": SERVICE, "stage": settings.stage, **dimensions}
    metrics = [
        {"Name": name, "Unit": "Milliseconds" if name.endswith("_ms") else "Count"}
        for name in counts
    ]
    told = {"Namespace": NAMESPACE, "Dimensions": [list(words)], "Metrics": metrics}
    about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [told]}
    sys.stdout.write(_json.encode({"_aws": about, **words, **counts}).decode() + "\n")
    sys.stdout.flush()
