"""Packing and deploying beside the project's own command, for copies of the project.

The zip is the project's own package (infra/package), the template that of `chalice package`.

The template goes through CloudFormation, so roles, mappings, schedules and the API come from the
package and not from a list of ours. Three things are added, each of which a real deployment adds
too: the place of the zip (what `aws cloudformation package` does), the environment of the stage,
and, when asked for, ReportBatchItemFailures, which Chalice cannot set.

Packing takes 10 s (pip, manylinux wheels for the running Python) and 3 s when nothing that ships
has changed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.deploy.stack import template_body

from .ministack import REGION, Ministack
from .stacks import create_stack

PROJECT = Path(__file__).parents[2]
BUCKET = "packages"


@dataclass(frozen=True)
class Package:
    """What `chalice package` wrote for one stage."""

    template: dict[str, Any]
    zip: Path


def package(project: Path, stage: str, out: Path) -> Package:
    """Packs the project for a stage by its own command; the folder `out` gets the template."""
    _run(project, sys.executable, "-m", "infra.package", "--stage", stage)
    chalice = str(Path(sys.executable).with_name("chalice"))
    how = ("package", "--stage", stage, "--template-format", "json", str(out))
    _run(project, chalice, "--project-dir", str(project), *how)
    return Package(json.loads((out / "sam.json").read_text()), out / "deployment.zip")


def _run(project: Path, *command: str) -> None:
    done = subprocess.run(
        command,
        check=False,
        cwd=project,
        env={**os.environ, "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def deploy(
    ministack: Ministack,
    packed: Package,
    stage: str,
    environment: Mapping[str, str],
    *,
    partial_batch: bool = False,
    told: bool = True,
) -> str:
    """Deploys tables, queues and the package; returns the API's address, without a last slash.

    With `partial_batch` the mappings report batch item failures; functions are `told` so or not.
    """
    stack = f"backburner-{stage}-infra"
    create_stack(ministack, stack, template_body(stage), {"Stage": stage})
    template = _with_place_of(_uploaded(ministack, packed.zip), packed.template, environment)
    if partial_batch:
        _report_batch_item_failures(template, told=told)
    _deploy_sockets_by_stage(template)
    outputs = create_stack(ministack, f"backburner-{stage}", json.dumps(template), {})
    # The address in the outputs is AWS's own, https://<id>.execute-api...; only its end counts.
    api_stage = outputs["EndpointURL"].rstrip("/").rpartition("/")[2]
    return f"{ministack.api_url(outputs['RestAPIId'])}/{api_stage}"


def _uploaded(ministack: Ministack, zip_file: Path) -> dict[str, str]:
    s3 = ministack.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key=zip_file.name, Body=zip_file.read_bytes())
    return {"Bucket": BUCKET, "Key": zip_file.name}


def _with_place_of(
    uploaded: dict[str, str], template: dict[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(template))
    for function in _functions(changed):
        function["CodeUri"] = uploaded
        function.setdefault("Environment", {}).setdefault("Variables", {}).update(environment)
    return changed


def _report_batch_item_failures(template: dict[str, Any], *, told: bool) -> None:
    for function in _functions(template):
        for source in function.get("Events", {}).values():
            if source["Type"] == "SQS":
                source["Properties"]["FunctionResponseTypes"] = ["ReportBatchItemFailures"]
                function["Environment"]["Variables"]["PARTIAL_BATCH"] = str(told).lower()


def _deploy_sockets_by_stage(template: dict[str, Any]) -> None:
    """Ministack knows no AWS::ApiGatewayV2::Deployment; a stage may deploy by itself instead."""
    resources = template["Resources"]
    resources.pop("WebsocketAPIDeployment", None)
    for resource in resources.values():
        if resource["Type"] == "AWS::ApiGatewayV2::Stage":
            resource["Properties"].pop("DeploymentId", None)
            resource["Properties"]["AutoDeploy"] = True


def _functions(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
