"""infra/template.yaml in the form that a deployment gives to CloudFormation."""

import json
from collections.abc import Collection, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from infra.local.template import parse

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
KEEPS_DATA = "prod"  #: the stage whose data outlive its stack
DATA = ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::KMS::Alias")
RETAIN = "Retain"
TABLE = "AWS::DynamoDB::Table"

Template: TypeAlias = dict[str, Any]  #: a whole template, with the long forms of its intrinsics
Resource: TypeAlias = dict[str, Any]


def template(stage: str, only: Collection[str] | None = None, source: Path = TEMPLATE) -> Template:
    """The template with the state machines' definitions inside, and with the data retained where
    the stage keeps them. With `only`, nothing but the resources of these names.
    """
    made = parse(source.read_text(encoding="utf-8"))
    if only is not None:
        del made["Outputs"]
        made["Resources"] = {name: made["Resources"][name] for name in only}
    for resource in made["Resources"].values():
        if stage == KEEPS_DATA and resource["Type"] in DATA:
            # CloudFormation sees no change in a policy alone, but in its metadata.
            resource |= {"DeletionPolicy": RETAIN, "Metadata": {"Outlives": "its stack"}}
        _put_definition_inside(resource.get("Properties", {}), source.parent)
    _make_one_after_another(tables(made))
    return made


def _make_one_after_another(indexed: dict[str, Resource]) -> None:
    """AWS fails a stack that makes several tables with indexes at the same time:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
    """
    for earlier, later in pairwise(indexed):
        indexed[later]["DependsOn"] = earlier


def _put_definition_inside(properties: dict[str, Any], folder: Path) -> None:
    if isinstance(properties.get("DefinitionS3Location"), str):
        file = folder / properties.pop("DefinitionS3Location")
        properties["DefinitionString"] = text_of(json.loads(file.read_text(encoding="utf-8")))


def text_of(document: Mapping[str, Any]) -> str:
    """JSON without spaces, since CloudFormation counts bytes and reads no comments."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def tables(of: Template) -> dict[str, Resource]:
    """The tables of a template, by their names in it."""
    return {name: each for name, each in of["Resources"].items() if each["Type"] == TABLE}


def table_name(table: Resource, stage: str) -> str:
    """What a stage's table is called on DynamoDB."""
    text: str = table["Properties"]["TableName"]["Fn::Sub"]
    return text.replace("${Stage}", stage)
