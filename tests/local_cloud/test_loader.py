"""The template loader: what it supports, and what it refuses by name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from boto3 import Session

from infra.local.resources import TemplateError
from infra.local.template import Stack, load

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
Load = Callable[..., Stack]


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


@pytest.mark.parametrize("name", ["no.asl.json", "substituted.asl.json"])
def test_a_definition_that_is_not_there_or_not_complete_is_refused(
    load_text: Load, tmp_path: Path, name: str
) -> None:
    (tmp_path / "substituted.asl.json").write_text('{"Resource": "${Nobody}"}')
    properties = f"""
      StateMachineName: m
      StateMachineType: STANDARD
      RoleArn: arn:aws:iam::123456789012:role/m
      DefinitionS3Location: {name}
"""
    head = "Resources:\n  Flow:\n    Type: AWS::StepFunctions::StateMachine\n"
    text = f"{head}    Properties:{properties}"
    with pytest.raises(TemplateError, match=r"Flow: .*(cannot read no.asl.json|\$\{Nobody\})"):
        load_text(text)


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
        (TOPIC + "!Ref Nobody", "T: refers to Nobody, which does not exist"),
        (TOPIC + "!Sub '${Nobody}-x'", "T: refers to Nobody, which does not exist"),
        (TOPIC + "!Ref AWS::StackId", "T: unknown pseudo-parameter AWS::StackId"),
        (TOPIC + "!GetAtt Q.Colour\n" + queue("Q"), "T: Q has no attribute Colour"),
        (TOPIC + "!If [Nobody, a, b]", "T: unknown condition Nobody"),
        (TOPIC + "!Select [7, [a]]", r"T: Fn::Select cannot read \[7, \['a'\]\]"),
        (TOPIC + "!Ref T", "T: T: needs itself: T -> T"),
        (TOPIC + "t\n    DependsOn: Nobody", "T: refers to Nobody, which does not exist"),
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
    with pytest.raises(TemplateError, match=r"^T: refers to Q, which does not exist$"):
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
    ("parameters", "message"),
    [
        ({"Colour": "red"}, "unknown parameter Colour"),
        ({"Stage": "Not a stage"}, "parameter Stage may not be 'Not a stage'"),
    ],
)
def test_parameters_are_checked(session: Session, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        load(TEMPLATE, session, parameters)


def test_a_parameter_without_default_must_be_given(load_text: Load) -> None:
    text = "Parameters: {Name: {Type: String}}\nResources: {}\nOutputs: {N: {Value: !Ref Name}}\n"
    with pytest.raises(TemplateError, match="parameter Name has no value"):
        load_text(text)
    assert load_text(text, Name="x").outputs == {"N": "x"}
