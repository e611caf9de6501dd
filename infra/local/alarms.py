"""Builders for log groups, metric filters, alarms and the dashboard.

No alarm ever fires: moto only stores them, so that the same template can be used everywhere and a
mistake in it is noticed here.
"""

from infra.local.resources import Client, Properties, Resource, builds, decapitalized


@builds("AWS::Logs::LogGroup")
def log_group(client: Client, properties: Properties) -> Resource:
    logs = client("logs")
    name = properties.need("LogGroupName")
    days = properties.take("RetentionInDays")
    logs.create_log_group(logGroupName=name)
    if days:
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    (arn,) = (group["arn"] for group in groups if group["logGroupName"] == name)
    return Resource(name, {"Arn": arn})


@builds("AWS::Logs::MetricFilter")
def metric_filter(client: Client, properties: Properties) -> Resource:
    group = properties.need("LogGroupName")
    transformations = decapitalized(properties.need("MetricTransformations"))
    client("logs").put_metric_filter(
        logGroupName=group,
        filterName=transformations[0]["metricName"],
        filterPattern=properties.need("FilterPattern"),
        metricTransformations=transformations,
    )
    return Resource(f"{group}:{transformations[0]['metricName']}")


@builds("AWS::CloudWatch::Alarm")
def alarm(client: Client, properties: Properties) -> Resource:
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
    return Resource(name)


@builds("AWS::CloudWatch::CompositeAlarm")
def composite_alarm(client: Client, properties: Properties) -> Resource:
    name = properties.need("AlarmName")
    client("cloudwatch").put_composite_alarm(
        AlarmName=name,
        AlarmRule=properties.need("AlarmRule"),
        **properties.some("AlarmDescription", "AlarmActions", "OKActions"),
    )
    return Resource(name)


@builds("AWS::CloudWatch::Dashboard")
def dashboard(client: Client, properties: Properties) -> Resource:
    name = properties.need("DashboardName")
    client("cloudwatch").put_dashboard(
        DashboardName=name, DashboardBody=properties.need("DashboardBody")
    )
    return Resource(name)
