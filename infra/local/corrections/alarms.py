"""moto knows composite alarms, and not the call that makes one: PutCompositeAlarm."""

from moto.cloudwatch.responses import CloudWatchResponse


def install() -> None:
    """Its PutMetricAlarm reads an AlarmRule already, "for composite alarms as well"."""
    setattr(  # noqa: B010  a method that the class does not declare
        CloudWatchResponse, "put_composite_alarm", CloudWatchResponse.put_metric_alarm
    )
