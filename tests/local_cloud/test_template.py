"""The project's template, built as a whole by the local cloud's loader."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from boto3 import Session

from infra.local.template import Stack, load
from tests.local_cloud.conftest import NewAccount

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
QUEUES = ("notify", "work", "bulk")

Load = Callable[..., Stack]


@dataclass(frozen=True)
class Shipped:
    """The project's template, built with its defaults."""

    session: Session
    outputs: dict[str, str]

    def queue_attributes(self, url: str) -> dict[str, Any]:
        answer = self.session.client("sqs").get_queue_attributes(
            QueueUrl=url, AttributeNames=["All"]
        )
        return dict(answer["Attributes"])


@dataclass(frozen=True)
class TwoStages:
    """Two stages in one account, each with its own sender; only the first mails its alarms."""

    session: Session
    first: Stack
    second: Stack


@pytest.fixture(scope="module")
def two_stages(new_account: NewAccount) -> TwoStages:
    session = new_account("800000000002")
    mailed = {"SenderEmail": "shop@example.com", "AlarmEmail": "ops@example.com"}
    dev = {"Stage": "dev", "SenderEmail": "b@example.com"}
    return TwoStages(session, load(TEMPLATE, session, mailed), load(TEMPLATE, session, dev))


@pytest.fixture(scope="module")
def shipped(new_account: NewAccount) -> Shipped:
    session = new_account("800000000001")
    return Shipped(session, load(TEMPLATE, session).outputs)


def test_the_tables_have_their_indexes_expiry_and_recovery(shipped: Shipped) -> None:
    dynamodb = shipped.session.client("dynamodb")
    for table, indexes in (
        ("kernel", {"due", "recipient"}),
        ("people", {"name", "email"}),
        ("projects", {"member", "watch"}),
    ):
        name = shipped.outputs[f"{table.title()}TableName"]
        assert name == f"backburner-local-{table}"
        described = dynamodb.describe_table(TableName=name)["Table"]
        assert {index["IndexName"] for index in described["GlobalSecondaryIndexes"]} == indexes
        expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
        backups = dynamodb.describe_continuous_backups(TableName=name)
        recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


def test_credentials_have_a_key_of_the_stages_own_that_rotates(shipped: Shipped) -> None:
    kms = shipped.session.client("kms")
    key = kms.describe_key(KeyId="alias/backburner-local-data")["KeyMetadata"]
    assert key["Arn"] == shipped.outputs["DataKeyArn"]
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]


def test_the_machine_may_call_its_function_and_logs_no_data(shipped: Shipped) -> None:
    states, iam = (shipped.session.client(name) for name in ("stepfunctions", "iam"))
    machine = states.describe_state_machine(stateMachineArn=shipped.outputs["ProvisionProjectArn"])
    assert (machine["name"], machine["type"]) == ("backburner-local-provision-project", "STANDARD")
    function = json.loads(machine["definition"])["States"]["finish"]["Resource"]
    assert function.endswith(":function:backburner-local-provision")
    logged = machine["loggingConfiguration"]
    assert (logged["level"], logged["includeExecutionData"]) == ("ERROR", False)

    role = machine["roleArn"].rpartition("/")[2]
    policy = iam.get_role_policy(RoleName=role, PolicyName="tasks-and-log")["PolicyDocument"]
    tasks = next(s for s in policy["Statement"] if s["Sid"] == "Tasks")
    assert (tasks["Action"], tasks["Resource"]) == ("lambda:InvokeFunction", function)


def test_only_prod_tables_are_protected_from_deletion(shipped: Shipped) -> None:
    session = shipped.session
    prod = load(TEMPLATE, session, {"Stage": "prod", "OwnsSender": "false"})
    for outputs, protected in ((shipped.outputs, False), (prod.outputs, True)):
        described = session.client("dynamodb").describe_table(TableName=outputs["KernelTableName"])
        assert described["Table"]["DeletionProtectionEnabled"] is protected


@pytest.mark.parametrize("name", QUEUES)
def test_each_queue_hides_for_six_function_timeouts_and_leads_to_its_dead_letter_queue(
    shipped: Shipped, name: str
) -> None:
    outputs = shipped.outputs
    source = shipped.queue_attributes(outputs[f"{name.title()}QueueUrl"])
    assert (source["VisibilityTimeout"], source["MessageRetentionPeriod"]) == ("360", "345600")
    assert json.loads(source["RedrivePolicy"]) == {
        "deadLetterTargetArn": outputs[f"{name.title()}DeadQueueArn"],
        "maxReceiveCount": 1000,
    }
    dead = shipped.queue_attributes(outputs[f"{name.title()}DeadQueueUrl"])
    assert dead["MessageRetentionPeriod"] == "1209600"


@pytest.mark.parametrize("name", [*QUEUES, *(f"{name}-dead" for name in QUEUES)])
def test_no_queue_takes_anything_without_tls(shipped: Shipped, name: str) -> None:
    sqs = shipped.session.client("sqs")
    url = sqs.get_queue_url(QueueName=f"backburner-local-{name}")["QueueUrl"]
    (statement,) = json.loads(shipped.queue_attributes(url)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_the_sender_may_send_and_its_mails_use_the_configuration_set(
    two_stages: TwoStages,
) -> None:
    outputs = two_stages.first.outputs
    ses = two_stages.session.client("sesv2")
    identity = ses.get_email_identity(EmailIdentity=outputs["SenderEmail"])
    assert identity["ConfigurationSetName"] == outputs["MailConfigurationName"]
    assert ses.send_email(
        FromEmailAddress="shop@example.com",
        Destination={"ToAddresses": ["ann@example.com"]},
        Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
    )["MessageId"]


def test_alarms_are_mailed_only_to_an_address_that_was_given(
    shipped: Shipped, two_stages: TwoStages
) -> None:
    silent, mailed = shipped.outputs, two_stages.first.outputs
    assert subscribers(shipped.session, silent["AlarmTopicArn"]) == []
    assert subscribers(two_stages.session, mailed["AlarmTopicArn"]) == ["ops@example.com"]


def subscribers(session: Session, topic: str) -> list[str]:
    answer = session.client("sns").list_subscriptions_by_topic(TopicArn=topic)
    return [subscription["Endpoint"] for subscription in answer["Subscriptions"]]


def test_two_stages_with_two_senders_fit_into_one_account(two_stages: TwoStages) -> None:
    first, second = two_stages.first, two_stages.second
    shared = set(first.resources.values()) & set(second.resources.values())
    # A policy has no name; moto's id of it is the number of queues or topics it belongs to.
    policies = ("QueuesOverTlsOnly", "MailEventsFromSes", "FeedbackFromTopic")
    assert shared == {first.resources[name] for name in policies}


def test_two_stages_with_one_sender_fit_into_one_account_when_the_second_does_not_own_it(
    shipped: Shipped,
) -> None:
    second = load(TEMPLATE, shipped.session, {"Stage": "dev", "OwnsSender": "false"})
    assert "Sender" not in second.resources
    assert second.outputs["SenderEmail"] == "no-reply@example.com"


def test_loading_costs_less_than_a_second_and_a_half_of_cpu(session: Session) -> None:
    before = time.process_time()
    load(TEMPLATE, session)
    assert time.process_time() - before < 1.5
