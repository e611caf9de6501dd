"""infra/template.yaml as the CloudFormation stack `backburner-<stage>-infra`."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy import indexes, live_tables, template_bucket
from infra.deploy.account import Account, DeployError, code, reason
from infra.deploy.template import DATA, RETAIN, Template, template, text_of

_LOOK_SECONDS = 2
_PATIENCE_SECONDS = 1800
_NOTHING_YET_OR_ANY_MORE = ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")
#: States in which a stack is whole.
MADE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}

Show = Callable[[str], None]  #: takes one line of progress


@dataclass(frozen=True)
class Stack:
    """The stack as it is now."""

    changed: str  #: made, changed, or empty when nothing was
    outputs: dict[str, str]


def stack_name(stage: str) -> str:
    return f"backburner-{stage}-infra"


def template_body(stage: str) -> str:
    """The stage's whole template as the text that CloudFormation takes."""
    return text_of(template(stage))


def deploy(account: Account, wanted: Template, given: Mapping[str, str], show: Show) -> Stack:
    """Makes the stack or brings it up to `wanted`; a parameter not given keeps its value.

    Existing tables gain and lose one index in each update. A deployment that broke off between
    two of these goes on from there: the deployed template decides what is left to do.
    Raises DeployError with what CloudFormation says of the resource that failed.
    """
    found = describe(account)
    if found is None:
        _call(account, "create_stack", wanted, _parameters(wanted, given, {}))
        return Stack("made", _outputs(_settled(account, "CREATE_COMPLETE")))
    refuse_half_made(found)
    old = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}
    deployed = json.loads(deployed_body(account))
    live_tables.await_ready(account, deployed)
    # Asked here and not of CloudFormation alone, so that a second run makes no change set.
    if deployed == wanted and all(old.get(key) == value for key, value in given.items()):
        return Stack("", _outputs(found))
    steps = indexes.steps(deployed, wanted) or [indexes.Step(wanted, ())]  # parameters alone
    changed = [_update(account, step, _parameters(wanted, given, old), show) for step in steps]
    return Stack("changed" if any(changed) else "", _outputs(describe(account) or {}))


def _update(
    account: Account, step: indexes.Step, parameters: list[dict[str, Any]], show: Show
) -> bool:
    """Applies one step and waits for its indexes; False when there was nothing to update."""
    live_tables.refuse_left_over(account, step.template, step.changes)
    began = time.monotonic()
    for change in step.changes:
        show(f"{change.table} {change.kind} {change.index} ...")
    try:
        _call(account, "update_stack", step.template, parameters)
    except ClientError as error:
        if "No updates are to be performed" in reason(error):
            return False
        raise
    _settled(account, "UPDATE_COMPLETE")
    live_tables.await_ready(account, step.template)
    live_tables.refuse_missing(account, step.template, step.changes)
    for change in step.changes:
        show(f"... {change.index} done after {time.monotonic() - began:.0f} s")
    return True


def _call(account: Account, name: str, wanted: Template, parameters: list[dict[str, Any]]) -> None:
    """Hands the template over, by way of the bucket."""
    address = template_bucket.upload(account, text_of(wanted))
    call = getattr(account.client("cloudformation"), name)
    try:
        call(
            StackName=stack_name(account.stage),
            TemplateURL=address,
            Parameters=parameters,
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
    except ClientError as error:
        if "S3 error" in reason(error):
            raise DeployError(
                f"CloudFormation reads {address} with the rights of whoever deploys, who needs "
                f"s3:GetObject there. It says: {reason(error)}"
            ) from error
        raise


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


def _parameters(
    wanted: Template, given: Mapping[str, str], old: Mapping[str, str]
) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = [
        {"ParameterKey": name, "UsePreviousValue": True} for name in old if name not in given
    ]
    new: list[dict[str, Any]] = [
        {"ParameterKey": name, "ParameterValue": value} for name, value in given.items()
    ]
    return [each for each in [*new, *kept] if each["ParameterKey"] in wanted["Parameters"]]


def deployed_body(account: Account) -> str:
    """The template that the stack was made of, in the form of `template_body`."""
    answer = account.client("cloudformation").get_template(
        StackName=stack_name(account.stage), TemplateStage="Original"
    )
    body = answer["TemplateBody"]
    return body if isinstance(body, str) else text_of(body)  # botocore parses JSON


def retains_data(account: Account) -> bool:
    """Whether the stack would leave its data behind, as the template says that it was made of."""
    resources = json.loads(deployed_body(account))["Resources"].values()
    return all(each.get("DeletionPolicy") == RETAIN for each in resources if each["Type"] in DATA)


def refuse_half_made(stack: Mapping[str, Any]) -> None:
    """Raises DeployError, with what to do, for a stack that cannot be updated now."""
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
            raise DeployError(
                f"{stack['StackName']} is still {stack['StackStatus']} after "
                f"{_PATIENCE_SECONDS // 60} minutes. CloudFormation goes on by itself: run the "
                "same command again when it has ended"
            )
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
