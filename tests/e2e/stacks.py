"""CloudFormation stacks on ministack."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from .ministack import REGION, Ministack, wait_for

STACK_SECONDS = 60
MOST_BYTES = 51_200  #: of a template in the call itself
BUCKET = "templates"


def create_stack(
    ministack: Ministack, name: str, template: str, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Makes a stack and returns its outputs. Raises RuntimeError with the failed resources."""
    cloudformation = ministack.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        **_given(ministack, name, template),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
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
    client = ministack.client("s3")
    if BUCKET not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
        place: Any = {"LocationConstraint": REGION}
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    client.put_object(Bucket=BUCKET, Key=f"{name}.json", Body=template.encode())
    return {"TemplateURL": f"{ministack.endpoint_url}/{BUCKET}/{name}.json"}


def _reasons(cloudformation: Any, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return "\n".join(
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED") and "ResourceStatusReason" in event
    )


def delete_stack(ministack: Ministack, name: str) -> None:
    """Deletes a stack with all that it has made."""
    cloudformation = ministack.client("cloudformation")
    cloudformation.delete_stack(StackName=name)

    def gone() -> bool:
        try:
            stacks = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError:
            return True
        return all(stack["StackStatus"] == "DELETE_COMPLETE" for stack in stacks)

    wait_for(f"end of stack {name}", gone, STACK_SECONDS)


def update_stack(ministack: Ministack, name: str, template: str) -> None:
    """Changes a stack, if need be. Raises RuntimeError with the failed resources."""
    cloudformation = ministack.client("cloudformation")
    try:
        cloudformation.update_stack(StackName=name, **_given(ministack, name, template))
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return
        raise

    def ended() -> str | None:
        status = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return None if status.endswith("_IN_PROGRESS") else status

    if (status := wait_for(f"end of stack {name}", ended, STACK_SECONDS)) != "UPDATE_COMPLETE":
        raise RuntimeError(f"{name}: {status}\n{_reasons(cloudformation, name)}")
