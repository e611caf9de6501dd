"""Packing and deploying: the zip and the template that `chalice package` makes, as they are.

The template goes through CloudFormation, so roles, mappings, schedules and the API come from the
package and not from a list of ours. Three things are added, each of which a real deployment adds
too: the place of the zip (what `aws cloudformation package` does), the environment of the stage,
and, when asked for, ReportBatchItemFailures, which Chalice cannot set.

Packing takes 8 s (pip, manylinux wheels for the running Python) and 0.7 s when nothing that
ships has changed: Chalice keeps the zip in .chalice/deployments under a hash of what it holds.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .ministack import REGION, Ministack, wait_for

PROJECT = Path(__file__).parents[2]
BUCKET = "packages"
STACK_SECONDS = 60
MOST_BYTES = 51_200  #: of a template in the call itself
_DEFINITION = re.compile(r"^(?P<indent> +)DefinitionS3Location: (?P<file>\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """What `chalice package` wrote for one stage."""

    template: dict[str, Any]
    zip: Path


def package(project: Path, stage: str, out: Path) -> Package:
    """Packs the project for a stage into the folder `out`."""
    chalice = [str(Path(sys.executable).with_name("chalice")), "--project-dir", str(project)]
    done = subprocess.run(
        [*chalice, "package", "--stage", stage, "--template-format", "json", str(out)],
        check=False,
        env={**os.environ, "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"chalice package failed:\n{done.stdout}{done.stderr}")
    return Package(json.loads((out / "sam.json").read_text()), out / "deployment.zip")


def deploy(
    ministack: Ministack,
    packed: Package,
    stage: str,
    environment: Mapping[str, str],
    *,
    partial_batch: bool = False,
) -> str:
    """Deploys tables, queues and the package; returns the API's address, without a last slash."""
    create_stack(ministack, f"backburner-{stage}-infra", _infrastructure(), {"Stage": stage})
    template = _with_place_of(_uploaded(ministack, packed.zip), packed.template, environment)
    if partial_batch:
        _report_batch_item_failures(template)
    _deploy_sockets_by_stage(template)
    outputs = create_stack(ministack, f"backburner-{stage}", json.dumps(template), {})
    # The address in the outputs is AWS's own, https://<id>.execute-api...; only its end counts.
    api_stage = outputs["EndpointURL"].rstrip("/").rpartition("/")[2]
    return f"{ministack.api_url(outputs['RestAPIId'])}/{api_stage}"


def _infrastructure() -> str:
    """The template with the state machine inside, as `aws cloudformation package` would give it."""
    infra = PROJECT / "infra"

    def inside(line: re.Match[str]) -> str:
        definition = json.loads((infra / line["file"]).read_text())
        return f"{line['indent']}DefinitionString: {json.dumps(json.dumps(definition))}"

    return _DEFINITION.sub(inside, (infra / "template.yaml").read_text())


def create_stack(
    ministack: Ministack, name: str, template: str, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Makes a stack and returns its outputs. Raises RuntimeError with the failed resources."""
    cloudformation = ministack.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        **_given(ministack, name, template),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )

    def finished() -> dict[str, Any] | None:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    stack = wait_for(f"end of stack {name}", finished, STACK_SECONDS)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        raise RuntimeError(f"{name}: {stack['StackStatus']}\n{_reasons(cloudformation, name)}")
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _given(ministack: Ministack, name: str, template: str) -> dict[str, str]:
    """The template in the call; one that is too large for that by way of S3, as on AWS."""
    if len(template.encode()) <= MOST_BYTES:
        return {"TemplateBody": template}
    key = f"{name}.json"
    ministack.client("s3").put_object(Bucket=BUCKET, Key=key, Body=template.encode())
    return {"TemplateURL": f"{ministack.endpoint_url}/{BUCKET}/{key}"}


def _reasons(cloudformation: Any, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return "\n".join(
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED") and "ResourceStatusReason" in event
    )


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


def _report_batch_item_failures(template: dict[str, Any]) -> None:
    for function in _functions(template):
        for source in function.get("Events", {}).values():
            if source["Type"] == "SQS":
                source["Properties"]["FunctionResponseTypes"] = ["ReportBatchItemFailures"]
                function["Environment"]["Variables"]["PARTIAL_BATCH"] = "true"


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
