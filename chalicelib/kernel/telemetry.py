"""What happened and how long it took: one log line and a few metrics per request and per job.

No address, phone number or token ever reaches a log line: callers log ids and fixed texts, never
what a client sent. Hooks of botocore count AWS calls in the meter of the current request or job;
calls made inside `configuration()` are counted apart (`conf`).
"""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import msgspec
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from chalicelib.kernel.settings import settings

SERVICE = "backburner"
NAMESPACE = "Backburner"
_json = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


def _one_line(fields: Any) -> str:
    """JSON by msgspec: Powertools' own way takes a third of a log line's CPU."""
    return _json.encode(fields).decode()


def _level(name: str) -> int:
    """INFO for a name that is no level: an error here would keep every function from starting."""
    return logging.getLevelNamesMapping().get(name, logging.INFO)


#: A line is a constant message with fields that vary: `log.info("job", type=..., ms=...)`.
log = Logger(
    service=SERVICE,
    level=_level(settings.log_level),
    utc=True,
    datefmt="%Y-%m-%dT%H:%M:%S.%FZ",
    json_serializer=_one_line,
    json_deserializer=str,  # a message is text, even if it could be read as JSON
    serialize_stacktrace=False,  # the traceback is in `exception` already
)
logging.getLogger(SERVICE).propagate = False  # Lambda's own handler would write each line again


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
    if settings.stage == "local" or not counts:
        return  # nobody reads metrics of a local cloud, and a line without any is none
    labels = {"service": SERVICE, "stage": settings.stage, **dimensions}
    # A new one for each line, since threads share nothing then.
    metrics = EphemeralMetrics(namespace=NAMESPACE, default_dimensions=labels)
    for name, value in counts.items():
        metrics.add_metric(name, "Milliseconds" if name.endswith("_ms") else "Count", value)
    # Its own `flush_metrics` prints text and line end one after the other: lines of two threads
    # may run into each other, and CloudWatch reads neither.
    sys.stdout.write(_one_line(metrics.serialize_metric_set()) + "\n")
    sys.stdout.flush()
