"""The metrics of our own that the template's alarms and dashboard name."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from infra.deploy import template

STAGE = "dev"
RESOURCES: dict[str, dict[str, Any]] = template.template(STAGE)["Resources"]
_SEARCH = re.compile(r"\{Backburner,([\w,]+)\} MetricName=\"(\w+)\" stage=\"(\w+)\"")


class Metric(NamedTuple):
    """A metric with its dimensions; one without a value may have any."""

    name: str
    dimensions: frozenset[tuple[str, str | None]]


def of_type(kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in RESOURCES.values() if each["Type"] == kind]


def filled(value: Any) -> Any:
    """The value as it is in the stage."""
    text = json.dumps(value).replace('{"Ref": "Stage"}', json.dumps(STAGE))
    return json.loads(text.replace("${Stage}", STAGE))


def in_alarms() -> Iterator[Metric]:
    """Those that the app emits itself."""
    for alarm in of_type("AWS::CloudWatch::Alarm"):
        if alarm.get("Namespace") == "Backburner":
            named = filled(alarm["Dimensions"])
            dimensions = frozenset((each["Name"], each["Value"]) for each in named)
            yield Metric(alarm["MetricName"], dimensions)


def in_filters() -> Iterator[tuple[str, str, str]]:
    """Name, pattern and value of those that CloudWatch counts in the log and an alarm reads."""
    read = {
        alarm["MetricName"]
        for alarm in of_type("AWS::CloudWatch::Alarm")
        if filled(alarm.get("Namespace")) == {"Fn::Sub": f"Backburner/{STAGE}"}
    }
    for each in of_type("AWS::Logs::MetricFilter"):
        (made,) = each["MetricTransformations"]
        if made["MetricName"] in read:
            yield made["MetricName"], each["FilterPattern"], made["MetricValue"]
            read.remove(made["MetricName"])
    assert not read, f"no filter makes {read}"


def on_the_dashboard() -> Iterator[Metric]:
    (dashboard,) = of_type("AWS::CloudWatch::Dashboard")
    body = json.loads(filled(dashboard["DashboardBody"])["Fn::Sub"])
    for widget in body["widgets"]:
        above: list[Any] = []
        for line in widget["properties"]["metrics"]:
            if isinstance(line[0], dict):
                yield _searched(line[0]["expression"])
                continue
            above = _whole(line, above)
            if above[0] == "Backburner":
                pairs = zip(above[2::2], above[3::2], strict=True)
                yield Metric(above[1], frozenset(pairs))


def _searched(expression: str) -> Metric:
    found = _SEARCH.search(expression)
    assert found, expression
    names, metric, stage = found.groups()
    values = {"stage": stage}
    return Metric(metric, frozenset((name, values.get(name)) for name in names.split(",")))


def _whole(line: list[Any], above: list[Any]) -> list[Any]:
    """A line in which `.` stands for what is above it, and `...` for all before its last."""
    if line[0] == "...":
        return [*above[:-1], *line[1:]]
    return [above[place] if part == "." else part for place, part in enumerate(line)]
