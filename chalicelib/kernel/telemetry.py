"""What happened and how long it took: one log line and a few metrics per request and per job.

No address, phone number or token ever reaches a log line: callers log ids and fixed texts, never
what a client sent. Hooks of botocore count AWS calls in the meter of the current request or job;
calls made inside `configuration()` are counted apart (`conf`).

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
#: Attributes that the logging module gives every record; all others are a caller's fields.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_json = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


class _JsonFormatter(logging.Formatter):
    """A record as one line of JSON, whose fields CloudWatch Logs Insights can query."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line = {
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": clock.iso(clock.now()),
            "service": SERVICE,
            **fields,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _json.encode(line).decode()


class Log:
    """The application's log. A line is a constant message with fields that vary."""

    def __init__(self, level: str) -> None:
        self._logger = logging.getLogger(SERVICE)
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(_JsonFormatter())
        self._logger.handlers = [handler]
        self._logger.propagate = False  # Lambda's own handler would write each line again
        self.setLevel(level)

    def setLevel(self, level: int | str) -> None:  # noqa: N802  as in the standard library
        number = level if isinstance(level, int) else logging.getLevelNamesMapping().get(level)
        self._logger.setLevel(logging.INFO if number is None else number)

    def info(self, message: str, **fields: Any) -> None:
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._write(logging.ERROR, message, fields)

    def exception(self, message: str, **fields: Any) -> None:
        self._write(logging.ERROR, message, fields, traced=True)

    def _write(
        self, level: int, message: str, fields: dict[str, Any], *, traced: bool = False
    ) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, exc_info=traced, extra=fields)


log = Log(settings.log_level)


class Meter(msgspec.Struct):
    """AWS calls of one request or job."""

    started: float = msgspec.field(default_factory=time.perf_counter)
    calls: list[str] = msgspec.field(default_factory=list)  #: such as `dynamodb.Query`, in order
    aws_ms: float = 0.0  #: time spent in `calls`
    conf_calls: int = 0  #: reads of configuration, not in `calls`
    slowest_ms: float = 0.0  #: duration of the slowest of `calls`

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)
_configuring: ContextVar[bool] = ContextVar("configuring", default=False)


@contextlib.contextmanager
def measured() -> Iterator[Meter]:
    """A new meter, which counts the AWS calls made inside."""
    meter = Meter()
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


@contextlib.contextmanager
def configuration() -> Iterator[None]:
    """Counts the calls made inside as reads of configuration (`conf`)."""
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
    """Writes metrics as one line in the embedded format: times if named `_ms`, else counts.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    if settings.stage == "local":
        return  # nobody reads metrics there
    labels = {"service": SERVICE, "stage": settings.stage, **dimensions}
    metrics = [
        {"Name": name, "Unit": "Milliseconds" if name.endswith("_ms") else "Count"}
        for name in counts
    ]
    directive = {"Namespace": NAMESPACE, "Dimensions": [list(labels)], "Metrics": metrics}
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    sys.stdout.write(_json.encode({"_aws": metadata, **labels, **counts}).decode() + "\n")
    sys.stdout.flush()
