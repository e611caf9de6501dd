"""infra/template.yaml as the CloudFormation stack `backburner-<stage>-infra`."""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.account import Account, DeployError, code, reason
from infra.local.template import parse

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
MOST_BYTES = 51_200  #: of a template in the call itself; beyond that one goes by S3
_LOOK_SECONDS = 2
_PATIENCE_SECONDS = 1800
_NOTHING_YET_OR_ANY_MORE = ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")
KEEPS_DATA = "prod"  #: the stage whose data outlive its stack
DATA = ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::KMS::Alias")
RETAIN = "Retain"
#: States in which a stack is whole.
MADE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}


@dataclass(frozen=True)
class Stack:
    """The stack as it is now."""

    changed: str  #: made, changed, or empty when nothing was
    outputs: dict[str, str]


def stack_name(stage: str) -> str:
    return f"backburner-{stage}-infra"


def template_body(stage: str, only: Collection[str] | None = None) -> str:
    """The template as CloudFormation takes it: with the state machines' definitions inside, and
    data retained where the stage keeps them. With `only`, nothing but the resources of these names.

    As JSON without spaces, since CloudFormation counts bytes and reads no comments.
    """
    template = parse(TEMPLATE.read_text(encoding="utf-8"))
    if only is not None:
        del template["Outputs"]
        template["Resources"] = {name: template["Resources"][name] for name in only}
    for resource in template["Resources"].values():
        if stage == KEEPS_DATA and resource["Type"] in DATA:
            # CloudFormation sees no change in a policy alone, but in its metadata.
            resource |= {"DeletionPolicy": RETAIN, "Metadata": {"Outlives": "its stack"}}
        properties = resource.get("Properties", {})
        if isinstance(properties.get("DefinitionS3Location"), str):
            file = TEMPLATE.parent / properties.pop("DefinitionS3Location")
            definition = json.loads(file.read_text(encoding="utf-8"))
            properties["DefinitionString"] = json.dumps(definition, separators=(",", ":"))
    return _compact(template)


def parameters_of() -> list[str]:
    """The names of the template's parameters."""
    return sorted(parse(TEMPLATE.read_text(encoding="utf-8"))["Parameters"])


def deploy(account: Account, given: Mapping[str, str]) -> Stack:
    """Makes the stack or brings it up to the template; a parameter not given keeps its value.

    Raises DeployError with what CloudFormation says of the resource that failed.
    """
    client, name = account.client("cloudformation"), stack_name(account.stage)
    body = template_body(account.stage)
    if len(body.encode()) > MOST_BYTES:
        raise DeployError(f"{TEMPLATE.name} has outgrown the {MOST_BYTES} bytes of one call")
    found = describe(account)
    if found is None:
        client.create_stack(StackName=name, Parameters=_parameters(given, {}), **_how(body))
        return Stack("made", _outputs(_settled(account, "CREATE_COMPLETE")))
    _refuse_half_made(found)
    old = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}
    if _is_the_same(client, name, body, old, given):
        return Stack("", _outputs(found))
    try:
        client.update_stack(StackName=name, Parameters=_parameters(given, old), **_how(body))
    except ClientError as error:
        if "No updates are to be performed" in reason(error):
            return Stack("", _outputs(found))
        raise
    return Stack("changed", _outputs(_settled(account, "UPDATE_COMPLETE")))


def delete(account: Account) -> None:
    """Deletes the stack and, where the template does not retain them, the data."""
    name = stack_name(account.stage)
    account.client("cloudformation").delete_stack(StackName=name)
    stack = _ended(account)
    if stack["StackStatus"] != "DELETE_COMPLETE":
        told = "\n  ".join(failures(account))
        raise DeployError(f"{name} ended as {stack['StackStatus']}:\n  {told}")


def describe(account: Account) -> dict[str, Any] | None:
    """The stack as CloudFormation tells it, or None when there is none, or one only planned."""
    try:
        answer = account.client("cloudformation").describe_stacks(
            StackName=stack_name(account.stage)
        )
    except ClientError as error:
        if code(error) == "ValidationError":
            return None
        raise
    stack: dict[str, Any] = answer["Stacks"][0]
    return None if stack["StackStatus"] in _NOTHING_YET_OR_ANY_MORE else stack


def _how(body: str) -> dict[str, Any]:
    return {"TemplateBody": body, "Capabilities": ["CAPABILITY_NAMED_IAM"]}


def _parameters(given: Mapping[str, str], old: Mapping[str, str]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = [
        {"ParameterKey": name, "UsePreviousValue": True} for name in old if name not in given
    ]
    new: list[dict[str, Any]] = [
        {"ParameterKey": name, "ParameterValue": value} for name, value in given.items()
    ]
    known = set(parameters_of())
    return [each for each in [*new, *kept] if each["ParameterKey"] in known]


def _is_the_same(
    client: Any, name: str, body: str, old: Mapping[str, str], given: Mapping[str, str]
) -> bool:
    """Asked here and not of CloudFormation alone, so that a second run makes no change set."""
    if any(old.get(key) != value for key, value in given.items()):
        return False
    return _body(client, name) == body


def deployed_body(account: Account) -> str:
    """The template that the stack was made of, in the form of `template_body`."""
    return _body(account.client("cloudformation"), stack_name(account.stage))


def retains_data(account: Account) -> bool:
    """Whether the stack would leave its data behind, as the template says that it was made of."""
    resources = json.loads(deployed_body(account))["Resources"].values()
    return all(each.get("DeletionPolicy") == RETAIN for each in resources if each["Type"] in DATA)


def _body(client: Any, name: str) -> str:
    there = client.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    # botocore gives a JSON template parsed.
    return there if isinstance(there, str) else _compact(there)


def _compact(template: Any) -> str:
    return json.dumps(template, separators=(",", ":"), ensure_ascii=False)


def _refuse_half_made(stack: Mapping[str, Any]) -> None:
    name, status = stack["StackName"], stack["StackStatus"]
    if status in MADE:
        return
    if status.endswith("_IN_PROGRESS"):
        raise DeployError(f"{name} is {status}: another deployment is at work; try again after it")
    told = f": {stack['StackStatusReason']}" if stack.get("StackStatusReason") else ""
    cure = (
        "CloudFormation can only delete it: `make destroy` does, then deploy again"
        if status.startswith(("ROLLBACK_", "CREATE_", "DELETE_", "IMPORT_"))
        else f"run `aws cloudformation continue-update-rollback --stack-name {name}`, then deploy"
    )
    raise DeployError(f"{name} is half made ({status}{told}). {cure}")


def _settled(account: Account, wanted: str) -> dict[str, Any]:
    stack = _ended(account)
    if stack["StackStatus"] != wanted:
        raise DeployError(
            f"{stack_name(account.stage)} ended as {stack['StackStatus']}:\n  "
            + "\n  ".join(failures(account) or ["CloudFormation gives no reason"])
        )
    return stack


def _ended(account: Account) -> dict[str, Any]:
    ends = time.monotonic() + _PATIENCE_SECONDS
    while True:
        stack = describe(account) or {"StackStatus": "DELETE_COMPLETE"}
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        if time.monotonic() > ends:
            raise DeployError(f"{stack['StackName']} is still {stack['StackStatus']}")
        time.sleep(_LOOK_SECONDS)  # CloudFormation tells nobody; it can only be asked


def failures(account: Account) -> list[str]:
    """Why resources of the stack failed, the first cause first."""
    events = account.client("cloudformation").describe_stack_events(
        StackName=stack_name(account.stage)
    )["StackEvents"]
    found = [
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
        and "cancelled" not in event.get("ResourceStatusReason", "cancelled")
    ]
    return [_with_advice(line) for line in reversed(found)]


def _with_advice(line: str) -> str:
    if "already exists" not in line:
        return line
    return f"{line}\n    The name is taken: by another stack, or left over from a deleted one."


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
