"""The loader builds the whole template, and says by name what it cannot build."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from infra.local.resources import TemplateError
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
        answer = self.session.create_client("sqs").get_queue_attributes(
            QueueUrl=url, AttributeNames=["All"]
        )
        return dict(answer["Attributes"])


@pytest.fixture(scope="module")
def shipped(new_account: NewAccount) -> Shipped:
    session = new_account("700000000000")
    return Shipped(session, load(TEMPLATE, session).outputs)


@pytest.fixture
def load_text(session: Session, tmp_path: Path) -> Load:
    def load_it(text: str, **parameters: str) -> Stack:
        path = tmp_path / "template.yaml"
        path.write_text(text)
        return load(path, session, parameters)

    return load_it


def queue(name: str, more: str = "") -> str:
    head = "Type: AWS::SQS::Queue\n    Properties:\n      QueueName: q"
    return f"  {name}:\n    {head}{name}\n{more}"


# The project's template --------------------------------------------------------------------------


def test_the_tables_have_their_indexes_expiry_and_recovery(shipped: Shipped) -> None:
    dynamodb = shipped.session.create_client("dynamodb")
    for table, indexes in (("kernel", {"due", "recipient"}), ("people", {"name", "email"})):
        name = shipped.outputs[f"{table.title()}TableName"]
        assert name == f"backburner-local-{table}"
        described = dynamodb.describe_table(TableName=name)["Table"]
        assert {index["IndexName"] for index in described["GlobalSecondaryIndexes"]} == indexes
        expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
        backups = dynamodb.describe_continuous_backups(TableName=name)
        recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


@pytest.mark.parametrize(("stage", "protected"), [("local", False), ("prod", True)])
def test_only_prod_tables_are_protected_from_deletion(
    session: Session, *, stage: str, protected: bool
) -> None:
    stack = load(TEMPLATE, session, {"Stage": stage})
    described = session.create_client("dynamodb").describe_table(
        TableName=stack.outputs["KernelTableName"]
    )
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
    sqs = shipped.session.create_client("sqs")
    url = sqs.get_queue_url(QueueName=f"backburner-local-{name}")["QueueUrl"]
    (statement,) = json.loads(shipped.queue_attributes(url)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_the_sender_may_send_and_its_mails_use_the_configuration_set(session: Session) -> None:
    outputs = load(TEMPLATE, session, {"SenderEmail": "shop@example.com"}).outputs
    ses = session.create_client("sesv2")
    identity = ses.get_email_identity(EmailIdentity=outputs["SenderEmail"])
    assert identity["ConfigurationSetName"] == outputs["MailConfigurationName"]
    assert ses.send_email(
        FromEmailAddress="shop@example.com",
        Destination={"ToAddresses": ["ann@example.com"]},
        Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
    )["MessageId"]


@pytest.mark.parametrize(("address", "told"), [("", []), ("ops@example.com", ["ops@example.com"])])
def test_alarms_are_mailed_only_to_an_address_that_was_given(
    session: Session, address: str, told: list[str]
) -> None:
    outputs = load(TEMPLATE, session, {"AlarmEmail": address}).outputs
    subscriptions = session.create_client("sns").list_subscriptions_by_topic(
        TopicArn=outputs["AlarmTopicArn"]
    )["Subscriptions"]
    assert [each["Endpoint"] for each in subscriptions] == told


def test_two_stages_with_two_senders_fit_into_one_account(session: Session) -> None:
    first = load(TEMPLATE, session, {"SenderEmail": "a@example.com"})
    second = load(TEMPLATE, session, {"Stage": "dev", "SenderEmail": "b@example.com"})
    shared = set(first.resources.values()) & set(second.resources.values())
    # Policies have no names of their own; here they are called by how much they hang on.
    policies = ("QueuesOverTlsOnly", "MailEventsFromSes", "FeedbackFromTopic")
    assert shared == {first.resources[name] for name in policies}


def test_two_stages_with_one_sender_fit_into_one_account_when_the_second_does_not_own_it(
    session: Session,
) -> None:
    load(TEMPLATE, session)
    second = load(TEMPLATE, session, {"Stage": "dev", "OwnsSender": "false"})
    assert "Sender" not in second.resources
    assert second.outputs["SenderEmail"] == "no-reply@example.com"


def test_loading_costs_less_than_a_second_and_a_half_of_cpu(session: Session) -> None:
    before = time.process_time()
    load(TEMPLATE, session)
    assert time.process_time() - before < 1.5


# What the loader understands ---------------------------------------------------------------------


def test_a_resource_is_made_before_those_that_refer_to_it_wherever_it_stands(
    load_text: Load,
) -> None:
    policy = (
        "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt Z.Arn\n"
        "        maxReceiveCount: 3\n"
    )
    stack = load_text(
        "Resources:\n" + queue("A", policy) + queue("Z") + "    DependsOn: [M]\n" + queue("M")
    )
    assert set(stack.resources) == {"A", "M", "Z"}


def test_both_forms_of_the_intrinsics_are_resolved(load_text: Load, account: str) -> None:
    stack = load_text(
        """
Parameters: {Stage: {Type: String, Default: local}}
Conditions: {Prod: !Equals [!Ref Stage, prod], Other: {"Fn::Not": [!Equals [!Ref Stage, prod]]}}
Resources:
"""
        + queue("A", "      DelaySeconds: !If [Prod, 5, !Ref AWS::NoValue]\n")
        + """
Outputs:
  Joined: {Value: !Join ["-", [a, !Ref Stage, {Ref: Stage}]]}
  Selected: {Value: !Select [1, [a, {"Fn::If": [Other, c, d]}]]}
  Names: {Value: !Sub ["${AWS::Region} ${AWS::AccountId} ${A.QueueName} ${own} ${!kept}", {own: 1}]}
  Arn: {Value: {"Fn::GetAtt": [A, Arn]}}
  Absent: {Condition: Prod, Value: x}
"""
    )
    assert stack.outputs == {
        "Joined": "a-local-local",
        "Selected": "c",
        "Names": f"eu-central-1 {account} qA 1 ${{kept}}",
        "Arn": f"arn:aws:sqs:eu-central-1:{account}:qA",
    }


# What it refuses ---------------------------------------------------------------------------------

TOPIC = "  T:\n    Type: AWS::SNS::Topic\n    Properties:\n      TopicName: "


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ("  T: {Type: AWS::EC2::Instance}", "T: unknown type AWS::EC2::Instance"),
        (TOPIC + "t\n      Colour: red", "T: unknown property Colour"),
        (TOPIC + "t\n    CreationPolicy: {}", "T: unknown resource key CreationPolicy"),
        (TOPIC + "!ImportValue x", "T: unknown intrinsic Fn::ImportValue"),
        (TOPIC + "{'Fn::Base64': x}", "T: unknown intrinsic Fn::Base64"),
        (TOPIC + "!Ref Nobody", "T: refers to Nobody, which is not there"),
        (TOPIC + "!Sub '${Nobody}-x'", "T: refers to Nobody, which is not there"),
        (TOPIC + "!Ref AWS::StackId", "T: unknown pseudo-parameter AWS::StackId"),
        (TOPIC + "!GetAtt Q.Colour\n" + queue("Q"), "T: Q has no attribute Colour"),
        (TOPIC + "!If [Nobody, a, b]", "T: unknown condition Nobody"),
        (TOPIC + "!Select [7, [a]]", r"T: Fn::Select cannot read \[7, \['a'\]\]"),
        (TOPIC + "!Ref T", "T: T: needs itself: T -> T"),
        (TOPIC + "t\n    DependsOn: Nobody", "T: refers to Nobody, which is not there"),
        ("  T: {Type: AWS::SNS::Topic}", "T: lacks the property TopicName"),
        ("  T: {Type: AWS::SNS::Topic, Condition: Nobody}", "T: unknown condition Nobody"),
    ],
)
def test_what_it_cannot_build_is_refused_by_name(
    load_text: Load, resources: str, message: str
) -> None:
    with pytest.raises(TemplateError, match=f"^{message}$"):
        load_text("Resources:\n" + resources + "\n")


def test_an_unknown_property_deep_inside_another_is_refused(load_text: Load) -> None:
    with pytest.raises(TemplateError, match=r'^T: (?s:.)*Unknown parameter.*"Colour"'):
        load_text(
            "Resources:\n  T:\n    Type: AWS::SES::ConfigurationSet\n    Properties:\n"
            "      Name: x\n      ReputationOptions: {Colour: red}\n"
        )


def test_a_reference_to_a_resource_left_out_by_its_condition_is_refused(load_text: Load) -> None:
    left_out = "    Condition: Never\n"
    with pytest.raises(TemplateError, match=r"^T: refers to Q, which is not there$"):
        load_text(
            "Conditions: {Never: !Equals [a, b]}\nResources:\n"
            + TOPIC
            + "!GetAtt Q.QueueName\n"
            + queue("Q")
            + left_out
        )


def test_sections_that_it_would_ignore_are_refused(load_text: Load) -> None:
    with pytest.raises(TemplateError, match="unknown section Mappings, Transform"):
        load_text("Transform: x\nMappings: {}\nResources: {}\n")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Colour": "red"}, "unknown parameter Colour"),
        ({"Stage": "Not a stage"}, "parameter Stage may not be 'Not a stage'"),
    ],
)
def test_parameters_are_checked(session: Session, given: dict[str, str], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        load(TEMPLATE, session, given)


def test_a_parameter_without_default_must_be_given(load_text: Load) -> None:
    text = "Parameters: {Name: {Type: String}}\nResources: {}\nOutputs: {N: {Value: !Ref Name}}\n"
    with pytest.raises(TemplateError, match="parameter Name has no value"):
        load_text(text)
    assert load_text(text, Name="x").outputs == {"N": "x"}
