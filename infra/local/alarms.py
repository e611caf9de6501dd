"""Builders for what watches: log groups, filters, alarms, the dashboard.

Nothing rings here: moto keeps them, so that the template is the same one and a mistake in it shows.
"""

from infra.local.resources import Client, Made, Properties, builds


@builds("AWS::Logs::LogGroup")
def log_group(client: Client, properties: Properties) -> Made:
    logs = client("logs")
    name = properties.need("LogGroupName")
    days = properties.take("RetentionInDays")
    logs.create_log_group(logGroupName=name)
    if days:
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))
    found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    (arn,) = (each["arn"] for each in found if each["logGroupName"] == name)
    return Made(name, {"Arn": arn})


@builds("AWS::Logs::MetricFilter")
def metric_filter(client: Client, properties: Properties) -> Made:
    group = properties.need("LogGroupName")
    changes = properties.need("MetricTransformations")
    named = [{key[0].lower() + key[1:]: value for key, value in each.items()} for each in changes]
    client("logs").put_metric_filter(
        logGroupName=group,
        filterName=named[0]["metricName"],
        filterPattern=properties.need("FilterPattern"),
        metricTransformations=named,
    )
    return Made(f"{group}:{named[0]['metricName']}")


@builds("AWS::CloudWatch::Alarm")
def alarm(client: Client, properties: Properties) -> Made:
    name = properties.need("AlarmName")
    client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        **properties.some(
            "AlarmDescription",
            "AlarmActions",
            "OKActions",
            "ComparisonOperator",
            "Threshold",
            "EvaluationPeriods",
            "TreatMissingData",
            "Namespace",
            "MetricName",
            "Statistic",
            "Period",
            "Dimensions",
            "Metrics",
        ),
    )
    return Made(name)


@builds("AWS::CloudWatch::CompositeAlarm")
def composite_alarm(client: Client, properties: Properties) -> Made:
    name = properties.need("AlarmName")
    client("cloudwatch").put_composite_alarm(
        AlarmName=name,
        AlarmRule=properties.need("AlarmRule"),
        **properties.some("AlarmDescription", "AlarmActions", "OKActions"),
    )
    return Made(name)


@builds("AWS::CloudWatch::Dashboard")
def dashboard(client: Client, properties: Properties) -> Made:
    name = properties.need("DashboardName")
    client("cloudwatch").put_dashboard(
        DashboardName=name, DashboardBody=properties.need("DashboardBody")
    )
    return Made(name)
