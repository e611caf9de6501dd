"""What deploy, doctor and destroy say before they have touched anything."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import gateway, project, record, stack, template_bucket
from infra.deploy.__main__ import main
from infra.deploy.account import Account, DeployError
from infra.package.build import PROJECT

NOWHERE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "PATH": os.environ["PATH"],
}
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}


def run(module: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False,
        cwd=PROJECT,
        env={**NOWHERE, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("module", ["infra.deploy", "infra.doctor", "infra.destroy"])
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "No region"),
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, "No credentials"),
        ({"AWS_DEFAULT_REGION": "eu-nowhere-7", **KEYS}, "There is no region 'eu-nowhere-7'"),
        ({"AWS_DEFAULT_REGION": "eu-central-1", **KEYS}, "AWS does not answer"),
    ],
    ids=["no region", "no credentials", "unknown region", "no answer"],
)
def test_what_is_missing_is_said_in_a_sentence(
    module: str, environment: dict[str, str], message: str
) -> None:
    done = run(module, "--stage", "dev", **environment)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "action",
    [
        ("tenant", "list"),
        ("tenant", "create", "--name", "Alder"),
        ("tenant", "suspend", "alder"),
        ("keys", "rotate"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "You must specify a region"),
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, "Unable to locate credentials"),
        ({"AWS_DEFAULT_REGION": "eu-central-1", **KEYS}, "Could not connect"),
    ],
    ids=["no region", "no credentials", "no answer"],
)
def test_an_operator_s_command_says_what_is_missing(
    action: tuple[str, ...], environment: dict[str, str], message: str
) -> None:
    done = run("infra.ops", *action, STAGE="dev", **environment)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Check the credentials, AWS_DEFAULT_REGION and STAGE." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stage_that_nobody_described_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stage", "nowhere"]) == 2
    assert "No stage 'nowhere' in .chalice/config.json" in capsys.readouterr().err


def test_a_setting_without_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stage", "dev", "--setting", "ISSUER"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_template_has_every_definition_inside_and_room_to_grow(stage: str) -> None:
    body = stack.template_body(stage)
    assert len(body.encode()) <= template_bucket.MOST_BYTES / 4
    assert "DefinitionS3Location" not in body
    assert json.loads(body)["Resources"]


@pytest.mark.parametrize("response", gateway.wanted(()), ids=lambda each: each["responseType"])
def test_every_answer_of_the_gateway_is_a_problem(response: dict[str, dict[str, str]]) -> None:
    text = response["responseTemplates"]["application/json"]
    problem = json.loads(text.replace("$context.error.messageString", '"words"'))

    assert set(problem) >= {"type", "title", "detail", "request_id"}
    kind = response["responseParameters"]["gatewayresponse.header.Content-Type"]
    assert kind == "'application/problem+json'"


@pytest.mark.parametrize("response", gateway.wanted(()), ids=lambda each: each["responseType"])
def test_whatever_may_be_tried_again_says_when(response: dict[str, Any]) -> None:
    says_when = "gatewayresponse.header.Retry-After" in response["responseParameters"]

    assert says_when is (response.get("statusCode") in ("429", "503"))


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [((), None), (("https://a",), "'https://a'"), (("https://a", "https://b"), "'*'")],
)
def test_the_gateway_allows_the_origins_that_it_can_name(
    origins: tuple[str, ...], allowed: str | None
) -> None:
    responses = gateway.wanted(origins)
    assert responses
    for response in responses:
        headers = response["responseParameters"]
        assert headers.get("gatewayresponse.header.Access-Control-Allow-Origin") == allowed


def test_a_name_that_is_taken_is_explained() -> None:
    text = stack._with_advice("PeopleTable: backburner-dev-people already exists")
    assert "The name is taken" in text


def test_the_settings_of_a_stage_name_the_stage() -> None:
    for stage in ("dev", "prod"):
        assert project.stage_settings(stage)["STAGE"] == stage
    with pytest.raises(DeployError, match="copy one of them"):
        project.stage_settings("another")


def test_chalice_s_record_finds_the_api() -> None:
    known = {"resources": [{"name": "rest_api", "rest_api_id": "abc"}]}
    assert record.resource(known, "rest_api", "rest_api_id") == "abc"
    assert record.resource(known, "rest_api", "rest_api_url") is None


def test_pages_are_those_of_the_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.chdir(tmp_path)
    page = Account("dev").page("lambda")
    assert page == "https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1"
