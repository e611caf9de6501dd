"""Alarms over several metrics and composite alarms, which ministack's CloudFormation refuses.

Its CloudWatch knows composite alarms, so those are handed to it. Metrics of an alarm are counted,
and otherwise left alone: no alarm goes off here by its metrics.
"""

from typing import Any

from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

_MOST_METRICS = 10
_UNREAD = {"MetricName": "unread", "Namespace": "Unread"}


def install() -> None:
    record = provisioners._cw_metric_alarm_record

    def of_several_metrics(name: str, properties: dict[str, Any]) -> Any:
        metrics = properties.get("Metrics")
        if not metrics:
            return record(name, properties)
        if sum("MetricStat" in each for each in metrics) > _MOST_METRICS:
            raise ValueError(f"Metrics list must contain at most {_MOST_METRICS} metrics")
        others = {key: value for key, value in properties.items() if key != "Metrics"}
        return record(name, {**others, **_UNREAD})

    provisioners._cw_metric_alarm_record = of_several_metrics
    provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::CompositeAlarm"] = {
        "create": lambda _logical_id, properties, _stack: _put(properties),
        "update": lambda _name, _old, properties, _stack: _put(properties),
        "delete": lambda name, _properties: _call(
            cloudwatch._delete_alarms, {"AlarmNames": [name]}
        ),
    }


def _put(properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
    _call(cloudwatch._put_composite_alarm, properties)
    return properties["AlarmName"], {}


def _call(operation: Any, asked: dict[str, Any]) -> None:
    status, _, body = operation({}, asked, is_cbor=False, is_json=True)
    if status >= 400:
        raise ValueError(body)
