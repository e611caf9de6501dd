"""From a first try that failed to a stage that is gone: what the commands say on the way."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.stack import template_body
from infra.deploy.template import TEMPLATE
from infra.local.template import parse

from .conftest import STAGE, Issuer, command_environment, run_deploy
from .ministack import ACCOUNT, Ministack, install
from .missing import Missing
from .package import PROJECT
from .stacks import create_stack

PROD = "prod"
PEOPLE = "backburner-prod-people"
PROJECTS = "backburner-prod-projects"
KEY = "alias/backburner-prod-data"
SIGNING_KEYS = "/backburner/prod/signing-keys"
KEPT = ("DataKey", "DataKeyName", "KernelTable", "PeopleTable", "ProjectsTable")
ROW = {"tenant": {"S": "t1"}, "sk": {"S": "user#1"}}


@pytest.fixture(scope="module")
def empty() -> Iterator[Ministack]:
    """An account of its own: what is destroyed here, no other test needs."""
    install()
    started = Ministack.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def way_in(empty: Ministack) -> Iterator[Missing]:
    started = Missing(empty)
    yield started
    started.stop()


def destroy(
    way_in: Missing, *more: str, said: str = "", stage: str = STAGE
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "infra.destroy", "--stage", stage, *more],
        check=False,
        cwd=PROJECT,
        env=command_environment(way_in.url),
        capture_output=True,
        text=True,
        input=said,
        timeout=120,
    )


def test_a_stage_goes_from_a_failed_try_to_nothing_at_all(
    empty: Ministack, way_in: Missing, issuer: Issuer
) -> None:
    dynamodb = empty.client("dynamodb")
    table = {
        "TableName": f"backburner-{STAGE}-people",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "tenant", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "tenant", "KeyType": "HASH"}],
    }
    dynamodb.create_table(**table)

    failed = run_deploy(way_in, issuer, "--no-doctor")
    assert failed.returncode == 2
    assert "PeopleTable: " in failed.stderr  # CloudFormation's own reason, by resource
    assert "The name is taken" in failed.stderr
    assert "Traceback" not in failed.stderr
    dynamodb.delete_table(TableName=table["TableName"])

    half_made = run_deploy(way_in, issuer, "--no-doctor")
    assert half_made.returncode == 2
    assert "is half made (ROLLBACK_COMPLETE" in half_made.stderr
    assert "make destroy" in half_made.stderr

    assert destroy(way_in, "--yes", STAGE).returncode == 0
    deploy_without_functions(way_in, issuer, STAGE)

    refused = destroy(way_in, said="prod\n")
    assert refused.returncode == 1
    assert "Nothing was done." in refused.stdout
    assert dynamodb.list_tables()["TableNames"]

    gone = destroy(way_in, said=f"{STAGE}\n")
    assert gone.returncode == 0, gone.stderr
    assert dynamodb.list_tables()["TableNames"] == []
    assert empty.client("ssm").describe_parameters()["Parameters"] == []
    assert not any(everything_else_of(empty).values())


def test_prod_is_deployed_around_the_data_of_an_earlier_one_and_destroyed_without_them(
    empty: Ministack, way_in: Missing, issuer: Issuer
) -> None:
    kms = empty.client("kms")
    of_an_earlier_release = template_body(STAGE)
    create_stack(empty, f"backburner-{PROD}-infra", of_an_earlier_release, {"Stage": PROD})
    with_data = destroy(way_in, "--yes", PROD, stage=PROD)
    assert with_data.returncode == 2
    assert "would take the data along: deploy first" in with_data.stderr

    deploy_without_functions(way_in, issuer, PROD)
    empty.client("dynamodb").put_item(TableName=PEOPLE, Item=ROW)
    secret = kms.encrypt(KeyId=KEY, Plaintext=b"s3cret")["CiphertextBlob"]
    data = data_of(empty)
    assert destroy(way_in, "--yes", PROD, stage=PROD).returncode == 0
    assert data_of(empty) == data

    deployed = run_deploy(way_in, issuer, "--no-doctor", stage=PROD)
    assert deployed.returncode == 0, deployed.stderr
    assert f"taken over: {', '.join(KEPT)}" in deployed.stdout
    assert data_of(empty) == data
    assert kms.decrypt(CiphertextBlob=secret)["Plaintext"] == b"s3cret"
    rest = everything_else_of(empty)
    assert all(rest.values()), rest

    refused = destroy(way_in, said="yes\n", stage=PROD)
    assert refused.returncode == 1
    assert "Nothing was done." in refused.stdout
    assert (data_of(empty), everything_else_of(empty)) == (data, rest)

    gone = destroy(way_in, said=f"{PROD}\n", stage=PROD)
    assert gone.returncode == 0, gone.stderr
    assert "Tables, the key of their secrets and the signing keys stay." in gone.stdout
    assert data_of(empty) == data
    assert everything_else_of(empty) == {thing: [] for thing in rest}


def test_a_table_of_prod_that_an_earlier_release_does_not_know_comes_back_with_its_rows(
    empty: Ministack, way_in: Missing, issuer: Issuer, tmp_path: Path
) -> None:
    dynamodb = empty.client("dynamodb")
    deploy_without_functions(way_in, issuer, PROD)
    dynamodb.put_item(TableName=PROJECTS, Item=ROW)
    earlier = release_without_projects(tmp_path)

    back = run_deploy(way_in, issuer, "--template-of", str(earlier), stage=PROD)

    assert back.returncode == 0, back.stderr
    assert "ProjectsTable" not in resources_of_the_stack(empty)
    assert dynamodb.get_item(TableName=PROJECTS, Key=ROW)["Item"] == ROW

    assert "taken over: ProjectsTable\n" in deploy_without_functions(way_in, issuer, PROD)
    assert "ProjectsTable" in resources_of_the_stack(empty)
    assert dynamodb.get_item(TableName=PROJECTS, Key=ROW)["Item"] == ROW
    assert destroy(way_in, "--yes", PROD, stage=PROD).returncode == 0


def release_without_projects(folder: Path) -> Path:
    """A folder with the template of a release that has no table of projects."""
    described = parse(TEMPLATE.read_text())
    del described["Resources"]["ProjectsTable"]
    for name in ("ProjectsTableName", "ProjectsTableArn"):
        del described["Outputs"][name]
    alarm = described["Resources"]["TableThrottlesAlarm1"]["Properties"]
    alarm["Metrics"] = [each for each in alarm["Metrics"] if "ProjectsTable" not in str(each)]
    shutil.copytree(TEMPLATE.parent / "statemachines", folder / "infra" / "statemachines")
    (folder / "infra" / TEMPLATE.name).write_text(json.dumps(described))
    return folder


def resources_of_the_stack(empty: Ministack) -> set[str]:
    found = empty.client("cloudformation").describe_stack_resources(
        StackName=f"backburner-{PROD}-infra"
    )
    return {each["LogicalResourceId"] for each in found["StackResources"]}


def deploy_without_functions(way_in: Missing, issuer: Issuer, stage: str) -> str:
    """As far as the account lets one who may not look at functions: template and signing keys."""
    way_in.reads_functions = False
    broken_off = run_deploy(way_in, issuer, "--no-doctor", stage=stage)
    way_in.reads_functions = True
    assert broken_off.returncode == 2
    assert "AWS refuses GetFunctionConfiguration: Not today" in broken_off.stderr
    return broken_off.stdout


def test_what_chalice_says_of_a_missing_right_is_shown(
    empty: Ministack, way_in: Missing, issuer: Issuer
) -> None:
    way_in.makes_roles = False
    broken_off = run_deploy(way_in, issuer, "--no-doctor")
    way_in.makes_roles = True

    assert broken_off.returncode == 2
    assert "chalice deploy failed" in broken_off.stderr
    assert "(AccessDenied) when calling the CreateRole operation" in broken_off.stderr
    assert destroy(way_in, "--yes", STAGE).returncode == 0


def test_functions_that_nothing_is_recorded_of_are_named_and_not_forgotten(
    empty: Ministack, way_in: Missing
) -> None:
    functions = empty.client("lambda")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("a.py", "")
    made = {"Role": f"arn:aws:iam::{ACCOUNT}:role/r", "Runtime": "python3.11", "Handler": "a.b"}
    functions.create_function(
        FunctionName=f"backburner-{STAGE}-sweep", Code={"ZipFile": zipped.getvalue()}, **made
    )

    refused = destroy(way_in, "--yes", STAGE)

    assert refused.returncode == 2
    assert "no record of them. Deploy once more to its end" in refused.stderr
    assert f"backburner-{STAGE}-sweep" in refused.stderr
    functions.delete_function(FunctionName=f"backburner-{STAGE}-sweep")


def data_of(empty: Ministack) -> dict[str, Any]:
    """What must outlive prod: tables with their rows, the key of secrets, the signing keys."""
    dynamodb, kms, ssm = (empty.client(each) for each in ("dynamodb", "kms", "ssm"))
    key = kms.describe_key(KeyId=KEY)["KeyMetadata"]
    return {
        "tables": dynamodb.list_tables()["TableNames"],
        "row": dynamodb.get_item(TableName=PEOPLE, Key=ROW).get("Item"),
        "key": (key["KeyId"], key["KeyState"]),
        "signing keys": ssm.get_parameter(Name=SIGNING_KEYS)["Parameter"]["Value"],
    }


def everything_else_of(empty: Ministack) -> dict[str, list[str]]:
    """The names of all that must not."""
    listed = {
        "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
        "mappings": ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
        "APIs": ("apigateway", "get_rest_apis", "items", "id"),
        "socket APIs": ("apigatewayv2", "get_apis", "Items", "ApiId"),
        "schedules": ("events", "list_rules", "Rules", "Name"),
        "topics": ("sns", "list_topics", "Topics", "TopicArn"),
        "workflows": ("stepfunctions", "list_state_machines", "stateMachines", "name"),
        "roles": ("iam", "list_roles", "Roles", "RoleName"),
        "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        "buckets": ("s3", "list_buckets", "Buckets", "Name"),
        "logs": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "senders": ("sesv2", "list_email_identities", "EmailIdentities", "IdentityName"),
    }
    found = {
        thing: sorted(each[name] for each in getattr(empty.client(service), call)()[members])
        for thing, (service, call, members, name) in listed.items()
    }
    return {**found, "queues": sorted(empty.client("sqs").list_queues().get("QueueUrls", []))}
