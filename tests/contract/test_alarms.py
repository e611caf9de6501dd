"""Every function, table and queue is watched, by alarms that CloudWatch takes."""

import re
from typing import Any

import pytest

from infra import policies
from infra.deploy import template

STAGE = "dev"
MOST_METRICS = (
    10  #: of one alarm: docs.aws.amazon.com/AmazonCloudWatch, "CloudWatch service quotas"
)
RESOURCES: dict[str, dict[str, Any]] = template.template(STAGE)["Resources"]
ADD = "add a line to the last alarm of that kind in infra/template.yaml"


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of every resource of a type, by their names in the template."""
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == kind}


ALARMS = of_type("AWS::CloudWatch::Alarm")
COMPOSITES = of_type("AWS::CloudWatch::CompositeAlarm")


def metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that an alarm reads, without what it computes from them."""
    if "Metrics" not in alarm:
        return [alarm]
    return [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]


def watched(metric_name: str) -> set[str]:
    """What the alarms over a metric name: functions and queues as deployed, tables by resource."""
    return {
        _text(dimension["Value"])
        for alarm in ALARMS.values()
        for metric in metrics(alarm)
        if metric["MetricName"] == metric_name
        for dimension in metric["Dimensions"]
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    (text,) = value.values()
    return text.replace("${Stage}", STAGE).removesuffix(".QueueName")


def children(composite: dict[str, Any]) -> list[str]:
    return re.findall(r"\$\{(\w+)\}", composite["AlarmRule"]["Fn::Sub"])


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_is_in_an_alarm(metric: str) -> None:
    functions = {policies.lambda_name(each, STAGE) for each in policies.functions()}
    missing = functions - watched(metric)
    assert not missing, f"no alarm watches the {metric} of {sorted(missing)}: {ADD}"


@pytest.mark.parametrize("metric", ["ReadThrottleEvents", "WriteThrottleEvents"])
def test_every_table_is_in_an_alarm(metric: str) -> None:
    missing = set(of_type("AWS::DynamoDB::Table")) - watched(metric)
    assert not missing, f"no alarm watches the {metric} of {sorted(missing)}: {ADD}"


def test_every_dead_letter_queue_is_in_an_alarm() -> None:
    dead = {name for name in of_type("AWS::SQS::Queue") if name.endswith("DeadQueue")}
    assert dead == watched("ApproximateNumberOfMessagesVisible"), ADD


@pytest.mark.parametrize("name", ALARMS)
def test_no_alarm_reads_more_metrics_than_cloudwatch_takes(name: str) -> None:
    count = len(metrics(ALARMS[name]))
    assert count <= MOST_METRICS, f"{name} reads {count}: begin a further alarm beside it"


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_notifies_by_itself_or_by_one_composite_alarm(name: str) -> None:
    parents = [each for each, composite in COMPOSITES.items() if name in children(composite)]
    by_itself = ALARMS[name].get("AlarmActions") == [{"Ref": "AlarmTopic"}]

    assert (parents, by_itself) in (([], True), ([name.rstrip("0123456789")], False))
    assert ("OKActions" in ALARMS[name]) is by_itself


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_composite_alarm_notifies_and_names_alarms_that_are_there(name: str) -> None:
    composite = COMPOSITES[name]

    assert children(composite)
    assert set(children(composite)) <= set(ALARMS)
    assert composite["AlarmActions"] == composite["OKActions"] == [{"Ref": "AlarmTopic"}]
