"""What happened and how long it took: one log line and a few metrics per request and per job.

No address, phone number or token ever reaches a log line: callers log ids and words of their own,
never what a client sent. AWS calls are counted by botocore hooks into the meter of the current
request or job; calls made inside `configuration()` are counted apart (`conf`).
"""

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from chalicelib.kernel.settings import settings

_json = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


def _one_line(told: Any) -> str:
    """Powertools' own way to JSON takes a third of a log line's CPU."""
    return _json.encode(told).decode()


log = Logger(service="backburner", level=settings.log_level, utc=True, json_serializer=_one_line)


@dataclass
class Meter:
    """AWS calls of one request or job."""

    started: float = field(default_factory=time.perf_counter)
    calls: list[str] = field(default_factory=list)  #: `dynamodb.Query`, in order
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
    """Writes metrics as one embedded-format line: names in `_ms` are times, others counts."""
    metrics = EphemeralMetrics(namespace="Backburner", service="backburner")
    metrics.add_dimension(name="stage", value=settings.stage)
    for name, word in dimensions.items():
        metrics.add_dimension(name=name, value=word)
    for name, value in counts.items():
        unit = MetricUnit.Milliseconds if name.endswith("_ms") else MetricUnit.Count
        metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()
