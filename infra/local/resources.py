"""The types of resources that a template may contain, with one builder for each.

A new type takes one function here. It takes the properties that it supports out of `Properties`
(any that is left is an error) and returns what `!Ref` and `!GetAtt` give.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

Value: TypeAlias = Any  # whatever a template can hold
Client: TypeAlias = Callable[[str], Any]  # returns the botocore client of the named service


class TemplateError(Exception):
    """A resource cannot be built; the message begins with its logical id."""


@dataclass(frozen=True)
class Resource:
    """A resource that exists."""

    physical_id: str  #: what !Ref gives
    attributes: Mapping[str, str] = field(default_factory=dict)  #: what !GetAtt gives


class Properties:
    """The resolved properties of one resource that its builder has not taken yet."""

    def __init__(self, values: dict[str, Value], folder: Path = Path()) -> None:
        self._left = dict(values)
        self._folder = folder  #: in which the template is

    def need(self, name: str) -> Value:
        if name not in self._left:
            raise TemplateError(f"lacks the property {name}")
        return self._left.pop(name)

    def take(self, name: str) -> Value:
        return self._left.pop(name, None)

    def text_of(self, name: str) -> str:
        """The text of a file beside the template, which the property names."""
        path = self._folder / str(self.need(name))
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise TemplateError(f"{name}: cannot read {path.name}") from error

    def some(self, *names: str) -> dict[str, Value]:
        """The properties of these names that exist, as arguments of a call with the same names."""
        return {name: self._left.pop(name) for name in names if name in self._left}

    def refuse_the_rest(self) -> None:
        if self._left:
            raise TemplateError(f"unknown property {', '.join(sorted(self._left))}")


Builder = Callable[[Client, Properties], Resource]
BUILDERS: dict[str, Builder] = {}


def builds(kind: str) -> Callable[[Builder], Builder]:
    def register(builder: Builder) -> Builder:
        BUILDERS[kind] = builder
        return builder

    return register


def _text(value: Value) -> str:
    """An attribute for SQS or SNS: a text, or a structure as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


@builds("AWS::DynamoDB::Table")
def table(client: Client, properties: Properties) -> Resource:
    dynamodb = client("dynamodb")
    name = properties.need("TableName")
    recovery = properties.take("PointInTimeRecoverySpecification")
    expiry = properties.take("TimeToLiveSpecification")
    arguments = properties.some(
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "GlobalSecondaryIndexes",
        "DeletionProtectionEnabled",
    )
    answer = dynamodb.create_table(TableName=name, **arguments)
    if recovery:
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification=recovery
        )
    if expiry:
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    return Resource(name, {"Arn": answer["TableDescription"]["TableArn"]})


@builds("AWS::SQS::Queue")
def queue(client: Client, properties: Properties) -> Resource:
    sqs = client("sqs")
    name = properties.need("QueueName")
    attributes = properties.some(
        "VisibilityTimeout",
        "MessageRetentionPeriod",
        "DelaySeconds",
        "MaximumMessageSize",
        "ReceiveMessageWaitTimeSeconds",
        "SqsManagedSseEnabled",
        "RedrivePolicy",
        "RedriveAllowPolicy",
    )
    url = sqs.create_queue(
        QueueName=name,
        Attributes={key: _text(value) for key, value in attributes.items()},
    )["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return Resource(url, {"Arn": arn["Attributes"]["QueueArn"], "QueueName": name, "QueueUrl": url})


@builds("AWS::SQS::QueuePolicy")
def queue_policy(client: Client, properties: Properties) -> Resource:
    policy = _text(properties.need("PolicyDocument"))
    queues = properties.need("Queues")
    for url in queues:
        client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return Resource(f"policy of {len(queues)} queues")


@builds("AWS::SNS::Topic")
def topic(client: Client, properties: Properties) -> Resource:
    name = properties.need("TopicName")
    attributes = {key: _text(value) for key, value in properties.some("DisplayName").items()}
    arn = client("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"]
    return Resource(arn, {"TopicArn": arn, "TopicName": name})


@builds("AWS::SNS::Subscription")
def subscription(client: Client, properties: Properties) -> Resource:
    raw = properties.take("RawMessageDelivery")
    answer = client("sns").subscribe(
        TopicArn=properties.need("TopicArn"),
        Protocol=properties.need("Protocol"),
        ReturnSubscriptionArn=True,
        Attributes={} if raw is None else {"RawMessageDelivery": _text(raw)},
        **properties.some("Endpoint"),
    )
    return Resource(answer["SubscriptionArn"])


@builds("AWS::SES::ConfigurationSet")
def configuration_set(client: Client, properties: Properties) -> Resource:
    name = properties.need("Name")
    client("sesv2").create_configuration_set(
        ConfigurationSetName=name,
        **properties.some(
            "ReputationOptions", "SuppressionOptions", "SendingOptions", "DeliveryOptions"
        ),
    )
    return Resource(name)


@builds("AWS::SES::ConfigurationSetEventDestination")
def event_destination(client: Client, properties: Properties) -> Resource:
    """Created through SES's first API, where moto stores it."""
    destination = dict(properties.need("EventDestination"))
    destination["SNSDestination"] = destination.pop("SnsDestination")
    client("ses").create_configuration_set_event_destination(
        ConfigurationSetName=properties.need("ConfigurationSetName"),
        EventDestination=destination,
    )
    return Resource(destination["Name"])


@builds("AWS::SNS::TopicPolicy")
def topic_policy(client: Client, properties: Properties) -> Resource:
    policy = _text(properties.need("PolicyDocument"))
    topics = properties.need("Topics")
    for arn in topics:
        client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=policy
        )
    return Resource(f"policy of {len(topics)} topics")


@builds("AWS::SES::EmailIdentity")
def email_identity(client: Client, properties: Properties) -> Resource:
    name = properties.need("EmailIdentity")
    settings = properties.take("ConfigurationSetAttributes") or {}
    client("sesv2").create_email_identity(EmailIdentity=name, **settings)
    return Resource(name)


@builds("AWS::KMS::Key")
def key(client: Client, properties: Properties) -> Resource:
    kms = client("kms")
    rotates = properties.take("EnableKeyRotation")
    properties.take("PendingWindowInDays")  # for a deletion, which does not happen here
    metadata = kms.create_key(
        Policy=_text(properties.need("KeyPolicy")), **properties.some("Description")
    )["KeyMetadata"]
    if rotates:
        kms.enable_key_rotation(KeyId=metadata["KeyId"])
    return Resource(metadata["KeyId"], {"Arn": metadata["Arn"], "KeyId": metadata["KeyId"]})


@builds("AWS::KMS::Alias")
def key_alias(client: Client, properties: Properties) -> Resource:
    name = properties.need("AliasName")
    client("kms").create_alias(AliasName=name, TargetKeyId=properties.need("TargetKeyId"))
    return Resource(name)


@builds("AWS::IAM::Role")
def role(client: Client, properties: Properties) -> Resource:
    iam = client("iam")
    name = properties.need("RoleName")
    trusted = _text(properties.need("AssumeRolePolicyDocument"))
    created = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)["Role"]
    for policy in properties.take("Policies") or []:
        document = _text(policy["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)
    return Resource(name, {"Arn": created["Arn"], "RoleId": created["RoleId"]})


@builds("AWS::StepFunctions::StateMachine")
def state_machine(client: Client, properties: Properties) -> Resource:
    """Raises TemplateError for an unknown placeholder; botocore raises for a wrong definition."""
    definition = properties.text_of("DefinitionS3Location")
    for name, value in (properties.take("DefinitionSubstitutions") or {}).items():
        definition = definition.replace("${" + name + "}", str(value))
    if unknown := re.findall(r"\$\{[^}]*\}", definition):
        raise TemplateError(
            f"the definition uses {unknown[0]}, which has no DefinitionSubstitution"
        )
    name = properties.need("StateMachineName")
    logging = properties.take("LoggingConfiguration") or {}
    arn = client("stepfunctions").create_state_machine(
        name=name,
        definition=definition,
        type=properties.need("StateMachineType"),
        roleArn=properties.need("RoleArn"),
        loggingConfiguration=decapitalized(logging),
    )["stateMachineArn"]
    return Resource(arn, {"Arn": arn, "Name": name})


def decapitalized(value: Value) -> Value:
    """With keys that begin with a small letter, as some APIs name CloudFormation's properties."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: decapitalized(inner) for key, inner in value.items()}
    return [decapitalized(inner) for inner in value] if isinstance(value, list) else value
