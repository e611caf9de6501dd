"""moto knows composite alarms, but not the call that makes one, PutCompositeAlarm.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
"""

from moto.cloudwatch.responses import CloudWatchResponse


def install() -> None:
    """Lets PutMetricAlarm handle it: moto's reads an AlarmRule already."""
    setattr(  # noqa: B010  a method that the class does not declare
        CloudWatchResponse, "put_composite_alarm", CloudWatchResponse.put_metric_alarm
    )
