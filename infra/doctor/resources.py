"""The stack, tables, queues, log groups and alarms, against the template."""

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy import stack, template_bucket
from infra.deploy.account import Account, code
from infra.doctor.described import resources
from infra.doctor.findings import Finding, advice, broken, check

DEPLOY = "run `make deploy`"
TIMES_TIMEOUT = 6  #: a message stays hidden this many times its function's time-out
_SECONDS = ("VisibilityTimeout", "MessageRetentionPeriod")


@check
def the_stack_is_made_of_this_template(account: Account) -> Iterator[Finding]:
    page = account.page("cloudformation")
    found = stack.describe(account)
    if found is None:
        yield broken(f"there is no stack {stack.stack_name(account.stage)}", DEPLOY, page)
    elif found["StackStatus"] not in stack.MADE:
        yield broken(f"the stack is {found['StackStatus']}", DEPLOY, page)
    elif stack.deployed_body(account) != stack.template_body(account.stage):
        yield advice("the stack was made of another template", DEPLOY, page)


@check
def the_bucket_of_templates_is_private(account: Account) -> Iterator[Finding]:
    name, page = template_bucket.bucket_name(account), account.page("s3")
    for fault in template_bucket.faults(account):
        yield broken(f"bucket {name} {fault}", DEPLOY, page)


@check
def every_table_is_as_described(account: Account) -> Iterator[Finding]:
    for described in resources(account, "AWS::DynamoDB::Table"):
        name = described["TableName"]
        page = account.page("dynamodbv2", "home")
        try:
            found = account.client("dynamodb").describe_table(TableName=name)["Table"]
        except ClientError as error:
            if code(error) != "ResourceNotFoundException":
                raise
            yield broken(f"there is no table {name}", DEPLOY, page)
            continue
        for told in _faults_of_table(account, described, found):
            yield broken(f"table {name} {told}", _cure_of_table(told), page)


def _cure_of_table(fault: str) -> str:
    if "lacks the index" not in fault:
        return DEPLOY
    return f"{DEPLOY}; if it stays, it was deleted by hand: create it as infra/template.yaml says"


def _faults_of_table(
    account: Account, described: dict[str, Any], found: dict[str, Any]
) -> Iterator[str]:
    wanted = {index["IndexName"] for index in described.get("GlobalSecondaryIndexes", [])}
    there = {
        index["IndexName"]: index.get("IndexStatus", "ACTIVE")
        for index in found.get("GlobalSecondaryIndexes", [])
    }
    for index in sorted(wanted - set(there)):
        yield f"lacks the index {index}"
    for index, status in there.items():
        if status != "ACTIVE":
            yield f"has its index {index} in the state {status}"
    client, name = account.client("dynamodb"), described["TableName"]
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if expiry.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        yield "does not delete what has expired"
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        yield "has no point-in-time recovery"
    if account.stage == "prod" and not found.get("DeletionProtectionEnabled"):
        yield "could be deleted: deletion protection is off"


@check
def every_queue_is_as_described(account: Account) -> Iterator[Finding]:
    for described in resources(account, "AWS::SQS::Queue"):
        name = described["QueueName"]
        page = account.page("sqs", "v3/home")
        found = queue_attributes(account, name)
        if found is None:
            yield broken(f"there is no queue {name}", DEPLOY, page)
            continue
        for told in _faults_of_queue(described, found):
            yield broken(f"queue {name} {told}", DEPLOY, page)


def queue_attributes(account: Account, name: str) -> dict[str, str] | None:
    """The attributes of a queue, or None when there is none."""
    client = account.client("sqs")
    try:
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
    except ClientError as error:
        if code(error).endswith(("NonExistentQueue", "QueueDoesNotExist")):
            return None
        raise
    found: dict[str, str] = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    return found


def _faults_of_queue(described: dict[str, Any], found: dict[str, str]) -> Iterator[str]:
    for name in _SECONDS:
        if name in described and int(found[name]) != int(described[name]):
            yield f"has {name} {found[name]} and not {described[name]}"
    if "RedrivePolicy" in described:
        redrive = json.loads(found.get("RedrivePolicy", "{}"))
        if not redrive:
            yield "has no dead-letter queue"
        elif int(redrive["maxReceiveCount"]) != described["RedrivePolicy"]["maxReceiveCount"]:
            yield f"gives up after {redrive['maxReceiveCount']} receives: the ledger decides that"
    if found.get("SqsManagedSseEnabled") != "true" and not found.get("KmsMasterKeyId"):
        yield "is not encrypted"
    if "aws:SecureTransport" not in found.get("Policy", ""):
        yield "takes calls without TLS"


@check
def dead_letters_outlive_their_messages(account: Account) -> Iterator[Finding]:
    """On a standard queue the age counts from the first send: equal times would lose them."""
    for described in resources(account, "AWS::SQS::Queue"):
        name = described["QueueName"]
        dead = queue_attributes(account, f"{name}-dead")
        source = queue_attributes(account, name) if dead else None
        if not dead or not source:
            continue
        kept, dead_kept = (int(each["MessageRetentionPeriod"]) for each in (source, dead))
        if dead_kept <= kept:
            told = f"queue {name}-dead keeps letters {dead_kept} s, its source {kept} s"
            yield broken(told, DEPLOY, account.page("sqs", "v3/home"))
        if waiting := int(dead.get("ApproximateNumberOfMessages", 0)):
            told = f"{waiting} dead letters in {name}-dead"
            yield advice(told, "see failed jobs, docs/operate.md", account.page("sqs", "v3/home"))


@check
def logs_end_and_alarms_reach_a_person(account: Account) -> Iterator[Finding]:
    page = account.page("cloudwatch")
    groups = _log_groups(account)
    for described in resources(account, "AWS::Logs::LogGroup"):
        name = described["LogGroupName"]
        if name not in groups:
            yield broken(f"there is no log group {name}", DEPLOY, page)
        elif not groups[name]:
            yield advice(f"log group {name} keeps everything for ever", DEPLOY, page)
    alarms = _alarms(account)
    for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        for described in resources(account, kind):
            if described["AlarmName"] not in alarms:
                yield broken(f"there is no alarm {described['AlarmName']}", DEPLOY, page)
    yield from _listeners(account)


def _log_groups(account: Account) -> dict[str, int]:
    pages = account.client("logs").get_paginator("describe_log_groups").paginate()
    return {
        each["logGroupName"]: each.get("retentionInDays", 0)
        for page in pages
        for each in page["logGroups"]
    }


def _alarms(account: Account) -> set[str]:
    client = account.client("cloudwatch")
    pages = client.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"backburner-{account.stage}-",
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],  # without it, CloudWatch gives the former
    )
    kinds = ("MetricAlarms", "CompositeAlarms")
    return {each["AlarmName"] for page in pages for kind in kinds for each in page[kind]}


def _listeners(account: Account) -> Iterator[Finding]:
    place = account.place
    topic = f"arn:{place.partition}:sns:{place.region}:{place.account}:{account.name('alarms')}"
    page = account.page("sns", "v3/home")
    try:
        found = account.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    except ClientError as error:
        if code(error) not in ("NotFound", "NotFoundException"):
            raise
        yield broken("there is no topic for alarms", DEPLOY, page)
        return
    if not found:
        yield advice("alarms reach nobody", "make deploy ALARM_EMAIL=...", page)
    for each in found:
        if each["SubscriptionArn"] == "PendingConfirmation":
            cure = "open the mail from AWS Notifications"
            yield advice(f"{each['Endpoint']} has not confirmed the alarms", cure, page)
