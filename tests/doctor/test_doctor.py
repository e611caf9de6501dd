"""The doctor finds what was broken, and nothing in a stage that is as it should be."""

from collections.abc import Callable

import pytest

from infra.doctor.examination import examine
from tests.doctor.conftest import STAGE, Stage, made

SIGNING_KEYS = f"/backburner/{STAGE}/signing-keys"


def test_a_stage_as_it_should_be_has_nothing_broken(stage: Stage) -> None:
    assert stage.found() == []


def set_queue(name: str, **attributes: str) -> Callable[[Stage], object]:
    return lambda stage: stage.client("sqs").set_queue_attributes(
        QueueUrl=stage.queue_url(name), Attributes=attributes
    )


def mapping(stage: Stage, function: str) -> str:
    found = stage.client("lambda").list_event_source_mappings(
        FunctionName=f"backburner-{STAGE}-{function}"
    )
    return str(found["EventSourceMappings"][0]["UUID"])


def lose_flag(stage: Stage) -> None:
    client = stage.client("lambda")
    client.delete_event_source_mapping(UUID=mapping(stage, "work"))
    place = stage.account.place
    client.create_event_source_mapping(
        FunctionName=f"backburner-{STAGE}-work",
        EventSourceArn=f"arn:aws:sqs:{place.region}:{place.account}:backburner-{STAGE}-work",
    )


def widen_role(stage: Stage) -> None:
    name = f"backburner-{STAGE}-notify"
    everything = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    )
    stage.client("iam").put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=everything)


def store_keys_in_plain_text(stage: Stage) -> None:
    ssm = stage.client("ssm")
    ssm.delete_parameter(Name=SIGNING_KEYS)
    ssm.put_parameter(Name=SIGNING_KEYS, Value="key", Type="String")


BREAKS: dict[str, tuple[Callable[[Stage], object], str]] = {
    "visibility": (set_queue("work", VisibilityTimeout="60"), "work has VisibilityTimeout 60"),
    "six times the time-out": (set_queue("work", VisibilityTimeout="60"), "under 6 x 60 s"),
    "dead letters too short": (
        set_queue("bulk-dead", MessageRetentionPeriod="345600"),
        "keeps letters 345600 s",
    ),
    "no dead letters": (set_queue("notify", RedrivePolicy=""), "has no dead-letter queue"),
    "a queue is gone": (
        lambda stage: stage.client("sqs").delete_queue(QueueUrl=stage.queue_url("feedback")),
        f"there is no queue backburner-{STAGE}-feedback",
    ),
    "a table is gone": (
        lambda stage: stage.client("dynamodb").delete_table(TableName=f"backburner-{STAGE}-people"),
        f"there is no table backburner-{STAGE}-people",
    ),
    "no recovery": (
        lambda stage: stage.client("dynamodb").update_continuous_backups(
            TableName=f"backburner-{STAGE}-kernel",
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
        ),
        "has no point-in-time recovery",
    ),
    "rows for ever": (
        lambda stage: stage.client("dynamodb").update_time_to_live(
            TableName=f"backburner-{STAGE}-kernel",
            TimeToLiveSpecification={"AttributeName": "expires_at", "Enabled": False},
        ),
        "does not delete what has expired",
    ),
    "flag lost, function knows": (lose_flag, "work returns failures to a mapping that loses them"),
    "a function is gone": (
        lambda stage: stage.client("lambda").delete_function(FunctionName=f"backburner-{STAGE}"),
        f"there is no function backburner-{STAGE}",
    ),
    "another stage's name": (
        lambda stage: stage.set_environment("bulk", STAGE="local"),
        "bulk believes that its stage is 'local'",
    ),
    "keys for anybody": (store_keys_in_plain_text, f"{SIGNING_KEYS} is a String"),
    "keys in an environment": (
        lambda stage: stage.set_environment("feedback", SIGNING_KEYS="key"),
        "feedback shows signing keys in its environment",
    ),
    "no issuer": (lambda stage: stage.set_environment("authorize", ISSUER=""), "ISSUER is not set"),
    "an unreadable setting": (
        lambda stage: stage.set_environment("work", WORKER_THREADS="many"),
        "WORKER_THREADS='many'",
    ),
    "an unreadable setting of a domain": (
        lambda stage: stage.set_environment("provision", PROVISIONING_SECONDS="-5"),
        "PROVISIONING_SECONDS='-5'",
    ),
    "no workflow": (
        lambda stage: stage.set_environment("reconcile", PROVISION_MACHINE_ARN=""),
        "reconcile has no PROVISION_MACHINE_ARN",
    ),
    "a short lease": (
        lambda stage: stage.set_environment("notify", LEASE_SECONDS="30"),
        "leases its jobs for 30 s",
    ),
    "a wide role": (widen_role, "has another policy than infra/policies/notify.json"),
    "an alarm is gone": (
        lambda stage: stage.client("cloudwatch").delete_alarms(
            AlarmNames=[f"backburner-{STAGE}-dead-letters"]
        ),
        f"there is no alarm backburner-{STAGE}-dead-letters",
    ),
    "a composite alarm is gone": (
        lambda stage: stage.client("cloudwatch").delete_alarms(
            AlarmNames=[f"backburner-{STAGE}-function-throttles"]
        ),
        f"there is no alarm backburner-{STAGE}-function-throttles",
    ),
    "an index is gone": (
        lambda stage: stage.client("dynamodb").update_table(
            TableName=f"backburner-{STAGE}-projects",
            GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "watch"}}],
        ),
        f"table backburner-{STAGE}-projects lacks the index watch",
    ),
    "a public bucket": (
        lambda stage: stage.client("s3").delete_public_access_block(Bucket=stage.bucket),
        "does not block public access",
    ),
    "templates for ever": (
        lambda stage: stage.client("s3").delete_bucket_lifecycle(Bucket=stage.bucket),
        "keeps old templates for ever",
    ),
    "a bucket of nobody": (
        lambda stage: stage.client("s3").delete_bucket_tagging(Bucket=stage.bucket),
        "has no tag that names its stage",
    ),
    "a log group is gone": (
        lambda stage: stage.client("logs").delete_log_group(
            logGroupName=f"/aws/lambda/backburner-{STAGE}"
        ),
        f"there is no log group /aws/lambda/backburner-{STAGE}",
    ),
    "the sender is gone": (
        lambda stage: stage.client("sesv2").delete_email_identity(
            EmailIdentity="no-reply@example.com"
        ),
        "SES does not know no-reply@example.com",
    ),
}


@pytest.fixture(scope="module")
def found_when_all_is_broken() -> list[str]:
    """What the doctor says of a stage that was broken in every place at once."""
    with made() as stage:
        for break_it, _ in BREAKS.values():
            break_it(stage)
        return stage.broken()


@pytest.mark.parametrize("name", BREAKS)
def test_what_was_broken_is_found(found_when_all_is_broken: list[str], name: str) -> None:
    told = BREAKS[name][1]
    assert any(told in each for each in found_when_all_is_broken), found_when_all_is_broken


def test_a_stage_without_signing_keys_is_broken(stage: Stage) -> None:
    stage.client("ssm").delete_parameter(Name=SIGNING_KEYS)
    assert stage.broken() == [f"there is no parameter {SIGNING_KEYS}: links cannot be made"]


def test_a_lost_flag_that_the_function_does_not_count_on_is_a_note(stage: Stage) -> None:
    lose_flag(stage)
    stage.set_environment("work", PARTIAL_BATCH="false")

    assert stage.broken() == []
    assert any("without ReportBatchItemFailures" in each for each in stage.found())


def test_alarms_that_reach_nobody_are_a_note(stage: Stage) -> None:
    client = stage.client("sns")
    for each in client.list_subscriptions()["Subscriptions"]:
        client.unsubscribe(SubscriptionArn=each["SubscriptionArn"])

    assert "alarms reach nobody" in stage.found()


def test_each_finding_says_what_to_do_and_names_the_page_of_aws(stage: Stage) -> None:
    lose_flag(stage)
    for finding in examine(stage.account):
        assert finding.cure
        assert finding.page.startswith("https://eu-central-1.console.aws.amazon.com/")
