"""A project with more tables, indexes and functions, and an index for a table that is in use."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .conftest import STAGE, Deployment, Issuer, as_deployed, make_tenant, run_deploy
from .growth import FUNCTION, TABLES, describe_tables
from .ministack import Ministack, install
from .missing import Missing
from .stacks import create_stack, update_stack

TABLE = f"backburner-{STAGE}-apples"
STACK = f"backburner-{STAGE}-infra"
ROW = {"tenant": {"S": "t1"}, "sk": {"S": "apple#1"}, "key_5": {"S": "red"}}


class Growing:
    """The grown copy, deployed in an account of its own."""

    def __init__(self, project: Path, ministack: Ministack, issuer: Issuer) -> None:
        self.project, self.ministack, self.issuer = project, ministack, issuer
        self.proxy = Missing(ministack)

    def deploy(self, *more: str) -> Any:
        return run_deploy(self.proxy, self.issuer, "--no-doctor", *more, project=self.project)

    def deploy_the_template(self) -> Any:
        """Without packing the functions, which are as before."""
        return self.deploy("--template-of", str(self.project))

    def describe(self, apples: range) -> None:
        """Changes the indexes of one table in the template."""
        describe_tables(self.project, {table: range(5) for table in TABLES} | {"Apples": apples})

    def indexes(self, table: str = TABLE) -> dict[str, str]:
        """Every index of a table, and its state."""
        answer = self.ministack.client("dynamodb").describe_table(TableName=table)["Table"]
        return {
            index["IndexName"]: index.get("IndexStatus", "ACTIVE")
            for index in answer["GlobalSecondaryIndexes"]
        }

    def templates(self) -> list[set[str]]:
        """The table's indexes by each template that went to CloudFormation, oldest first."""
        s3 = self.ministack.client("s3")
        (bucket,) = (each["Name"] for each in s3.list_buckets()["Buckets"])
        objects = s3.list_objects_v2(Bucket=bucket)["Contents"]
        bodies = [
            json.loads(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read())
            for each in sorted(objects, key=lambda each: each["LastModified"])
        ]
        tables = [each["Resources"]["ApplesTable"]["Properties"] for each in bodies]
        return [{i["IndexName"] for i in each["GlobalSecondaryIndexes"]} for each in tables]


@pytest.fixture(scope="module")
def growing(grown_project: Path, issuer: Issuer) -> Iterator[Growing]:
    install()
    ministack = Ministack.start(auth=True)
    started = Growing(grown_project, ministack, issuer)
    try:
        yield started
    finally:
        started.proxy.stop()
        ministack.stop()


@pytest.fixture(scope="module")
def deployed(growing: Growing) -> Deployment:
    """The grown copy's first deployment, with every role enforced."""
    return as_deployed(growing.deploy(), growing.ministack, growing.issuer)


def names(numbers: range) -> set[str]:
    return {f"by_{number}" for number in numbers}


def all_active(numbers: range) -> dict[str, str]:
    return dict.fromkeys(names(numbers), "ACTIVE")


def test_four_tables_of_five_indexes_and_a_function_are_deployed(
    growing: Growing, deployed: Deployment
) -> None:
    for table in TABLES:
        assert growing.indexes(f"backburner-{STAGE}-{table.lower()}") == all_active(range(5))
    answer = deployed.ministack.client("lambda").invoke(
        FunctionName=f"backburner-{STAGE}-{FUNCTION}", Payload=b'{"apples": 5}'
    )
    assert json.load(answer["Payload"]) == {"asked": {"apples": 5}}


def test_a_domain_made_as_its_page_says_answers_and_has_all_rights_that_it_needs(
    deployed: Deployment,
) -> None:
    token = deployed.issuer.token(role="customer", tenant_id=make_tenant(deployed.ministack))
    suggestion = {"text": "More tea", "email": "ann@example.com"}

    made = deployed.call("POST", "/v1/suggestions", suggestion, token=token)
    found = deployed.call("GET", "/v1/suggestions", token=token)

    assert made.status == 201, made.data
    assert found.json()["data"] == [{"text": "More tea"}]


def test_two_more_indexes_come_one_by_one_and_a_deployment_that_broke_off_goes_on(
    growing: Growing,
) -> None:
    growing.ministack.client("dynamodb").put_item(TableName=TABLE, Item=ROW)
    growing.describe(range(7))
    growing.proxy.stack_updates_left = 1

    broken_off = growing.deploy()

    assert broken_off.returncode == 2
    assert "AWS refuses UpdateStack" in broken_off.stderr
    assert "ApplesTable adds by_5" in broken_off.stdout
    assert growing.indexes() == all_active(range(6))
    growing.proxy.stack_updates_left = None

    done = growing.deploy()

    assert done.returncode == 0, done.stdout + done.stderr
    assert "adds by_5" not in done.stdout
    assert "ApplesTable adds by_6 ..." in done.stdout
    assert "... by_6 done after" in done.stdout
    assert growing.indexes() == all_active(range(7))
    assert growing.templates() == [names(range(5)), names(range(6)), names(range(7))]
    found = growing.ministack.client("dynamodb").query(
        TableName=TABLE,
        IndexName="by_5",
        KeyConditionExpression="tenant = :t",
        ExpressionAttributeValues={":t": {"S": "t1"}},
    )
    assert found["Items"] == [ROW]


def test_an_index_that_a_failed_update_has_left_is_named_with_the_cure(growing: Growing) -> None:
    growing.describe(range(8))
    by_hand = json.loads(_one_table(range(8)))["Resources"]["Table"]["Properties"]
    growing.ministack.client("dynamodb").update_table(
        TableName=TABLE,
        AttributeDefinitions=by_hand["AttributeDefinitions"],
        GlobalSecondaryIndexUpdates=[{"Create": by_hand["GlobalSecondaryIndexes"][7]}],
    )

    refused = growing.deploy_the_template()

    assert refused.returncode == 2
    assert f"Table {TABLE} has the index by_7 already" in refused.stderr
    assert """--global-secondary-index-updates '[{"Delete": {"IndexName": "by_7"}}]'""" in (
        refused.stderr
    )
    growing.ministack.client("dynamodb").update_table(
        TableName=TABLE, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_7"}}]
    )


def test_two_indexes_go_one_by_one(growing: Growing) -> None:
    growing.describe(range(2, 7))

    done = growing.deploy_the_template()

    assert done.returncode == 0, done.stdout + done.stderr
    assert growing.indexes() == all_active(range(2, 7))
    assert growing.templates()[-2:] == [names(range(1, 7)), names(range(2, 7))]


# How the emulator keeps AWS's rules --------------------------------------------------------------


def test_a_stack_may_not_gain_two_indexes_of_a_table_at_once(growing: Growing) -> None:
    create_stack(growing.ministack, "two-at-once", _one_table(range(1)), {})

    with pytest.raises(RuntimeError, match="Cannot perform more than one GSI creation or deletion"):
        update_stack(growing.ministack, "two-at-once", _one_table(range(3)))

    assert set(growing.indexes("two-at-once")) == names(range(1))


def test_a_table_may_not_gain_an_index_while_another_is_made(growing: Growing) -> None:
    create_stack(growing.ministack, "one-after-another", _one_table(range(1), "one-after"), {})
    at_once = Config(retries={"total_max_attempts": 1})  # else botocore waits until it may
    dynamodb = growing.ministack.client("dynamodb", config=at_once)

    def add(*numbers: int) -> None:
        properties = json.loads(_one_table(range(9)))["Resources"]["Table"]["Properties"]
        dynamodb.update_table(
            TableName="one-after",
            AttributeDefinitions=properties["AttributeDefinitions"],
            GlobalSecondaryIndexUpdates=[
                {"Create": properties["GlobalSecondaryIndexes"][number]} for number in numbers
            ],
        )

    with pytest.raises(ClientError, match="Only 1 online index can be created or deleted"):
        add(1, 2)
    add(1)
    with pytest.raises(ClientError, match="Only 1 online index can be created or deleted"):
        add(2)


def _one_table(numbers: range, name: str = "two-at-once") -> str:
    attributes = ["tenant", *(f"key_{number}" for number in numbers)]
    indexes = [
        {
            "IndexName": f"by_{number}",
            "KeySchema": [{"AttributeName": f"key_{number}", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
        for number in numbers
    ]
    table = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": e, "AttributeType": "S"} for e in attributes],
        "KeySchema": [{"AttributeName": "tenant", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": indexes,
    }
    resource = {"Type": "AWS::DynamoDB::Table", "Properties": table}
    return json.dumps({"Resources": {"Table": resource}})
