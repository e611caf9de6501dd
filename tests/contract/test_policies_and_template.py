"""What the template builds and what the policies name are the same tables, indexes and queues."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra import policies
from infra.local import template
from infra.policies import Place
from tests.contract.source import ROOT

PLACE = Place("dev", "eu-central-1", "123456789012")
ARN = "arn:aws:{}:eu-central-1:123456789012:{}"
RESOURCES: dict[str, Any] = template.parse((ROOT / "infra" / "template.yaml").read_text())[
    "Resources"
]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: each["Properties"]
        for name, each in RESOURCES.items()
        if each["Type"] == f"AWS::{kind}"
    }


TABLES = of_type("DynamoDB::Table")


def name_of(value: dict[str, str]) -> str:
    """A name in the template, as the stage `dev` has it."""
    return value["Fn::Sub"].replace("${Stage}", "dev")


def tables() -> Iterator[str]:
    for properties in TABLES.values():
        table = f"table/{name_of(properties['TableName'])}"
        yield ARN.format("dynamodb", table)
        for index in properties.get("GlobalSecondaryIndexes", []):
            yield ARN.format("dynamodb", f"{table}/index/{index['IndexName']}")


def queues() -> set[str]:
    return {
        ARN.format("sqs", name_of(properties["QueueName"]))
        for properties in of_type("SQS::Queue").values()
    }


def named(service: str) -> dict[str, list[str]]:
    """The resources of a service that policies name, and which policies do."""
    found: dict[str, list[str]] = {}
    for function in policies.functions():
        for statement in policies.policy(function, PLACE)["Statement"]:
            for resource in statement["Resource"]:
                if resource.startswith(f"arn:aws:{service}:"):
                    found.setdefault(resource, []).append(function)
    return found


@pytest.mark.parametrize("arn", list(tables()))
def test_each_table_and_index_of_the_template_is_named_by_a_policy(arn: str) -> None:
    assert arn in named("dynamodb"), (
        f"No policy names {arn.partition(':table/')[2]}, so on AWS nobody may use it. Add a block "
        "with its actions to infra/policies/api_handler.json for routes, and to work.json, "
        "notify.json or bulk.json beside it for jobs of that queue."
    )


@pytest.mark.parametrize(("service", "built"), [("dynamodb", set(tables())), ("sqs", queues())])
def test_each_table_and_queue_that_a_policy_names_is_in_the_template(
    service: str, built: set[str]
) -> None:
    unknown = {arn: where for arn, where in named(service).items() if arn not in built}
    assert unknown == {}, f"infra/template.yaml builds none of these: {unknown}"
