"""What the alarms and the dashboard read is emitted, with exactly the dimensions that they name.

CloudWatch finds a metric by its dimensions, all of them: one more or less, and an alarm reads
nothing and never rings.
"""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.kernel import keyring, telemetry
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import sample_jobs
from tests.functional.client import Caller
from tests.functional.metrics import named
from tests.functional.metrics.named import STAGE, Metric

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def written(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> Callable[[], list[dict[str, Any]]]:
    """Takes the lines of metrics that were written since the last time, as in a deployed stage."""
    monkeypatch.setattr(telemetry, "settings", replace(telemetry.settings, stage=STAGE))

    def take() -> list[dict[str, Any]]:
        lines = capsys.readouterr().out.splitlines()
        return [json.loads(line) for line in lines if line.startswith('{"_aws"')]

    return take


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the app logs, as it would stand in CloudWatch."""
    logger, written = logging.getLogger(telemetry.SERVICE), io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logger.handlers[0].formatter)
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


def emitted(lines: list[dict[str, Any]]) -> dict[str, set[frozenset[tuple[str, str]]]]:
    """The sets of dimensions with which each metric was emitted."""
    found: dict[str, set[frozenset[tuple[str, str]]]] = {}
    for line in lines:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "Backburner"
        (names,) = directive["Dimensions"]
        for metric in directive["Metrics"]:
            assert isinstance(line[metric["Name"]], list)
            dimensions = frozenset((name, line[name]) for name in names)
            found.setdefault(metric["Name"], set()).add(dimensions)
    return found


def live_through_a_day(cloud: LocalCloud, manager: Caller) -> None:
    """A little of everything that is counted: work, failures, waits, outages, the schedules."""
    sample_jobs.forget()
    manager.create_user()
    sample_jobs.enqueue(
        ("count", {"label": "done"}),
        ("refuse", {"label": "failed"}),
        ("hold", {"label": "held", "times": 1, "seconds": 5}),
    )
    cloud.run_until_idle()
    sample_jobs.enqueue(("count", {"label": "error"}))
    faults.add(Fault("dynamodb", kind="refuse", times=None))
    cloud.run_until_idle()
    faults.clear()
    cloud.advance(60)
    keyring.use()
    faults.add(Fault("ssm", "GetParameter", times=None))
    manager.create_user(email="bob@example.com")
    faults.clear()
    keyring.use()


def test_every_metric_that_is_read_is_emitted_with_exactly_its_dimensions(
    cloud: LocalCloud, manager: Caller, written: Callable[[], list[dict[str, Any]]]
) -> None:
    live_through_a_day(cloud, manager)

    found, read = emitted(written()), [*named.in_alarms(), *named.on_the_dashboard()]
    assert len({metric.name for metric in read}) >= 9
    for metric in read:
        others = found.get(metric.name)
        assert others, f"{metric.name} is never emitted"
        for dimensions in others:
            assert _matches(metric, dimensions), f"{metric} is emitted with {dimensions}"


def _matches(metric: Metric, emitted: frozenset[tuple[str, str]]) -> bool:
    have, wanted = dict(emitted), dict(metric.dimensions)
    return have.keys() == wanted.keys() and all(
        value is None or have[name] == value for name, value in wanted.items()
    )


def test_units_are_those_of_the_names(
    manager: Caller, written: Callable[[], list[dict[str, Any]]]
) -> None:
    manager.users()

    (line,) = written()
    units = {each["Name"]: each["Unit"] for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units["request_ms"] == "Milliseconds"
    assert {unit for name, unit in units.items() if not name.endswith("_ms")} == {"Count"}


def test_a_local_cloud_writes_no_metrics(manager: Caller, capsys: Captured) -> None:
    manager.users()

    assert "_aws" not in capsys.readouterr().out


def test_the_log_lines_that_are_counted_are_written_as_the_filters_read_them(
    cloud: LocalCloud, manager: Caller, logged: io.StringIO
) -> None:
    faults.add(Fault("sqs", kind="refuse", times=None))
    manager.create_user()
    faults.clear()
    faults.add(Fault("dynamodb", kind="refuse", times=None))
    assert manager.get("/admin/v1/users").status_code == 503
    faults.clear()

    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    counted = {name: (pattern, value) for name, pattern, value in named.in_filters()}
    assert counted == {
        "server_errors": ('{ $.message = "request" && $.status >= 500 }', "1"),
        "pushes_failed": ('{ $.message = "push left to the sweep" }', "$.count"),
    }
    assert [each["status"] for each in lines if each["message"] == "request"] == [201, 503]
    pushes = [each["count"] for each in lines if each["message"] == "push left to the sweep"]
    assert sum(pushes) == 1
    for line in lines:
        assert {"level", "message", "timestamp", "service", "location"} <= line.keys()
        assert line["timestamp"].endswith("Z")
