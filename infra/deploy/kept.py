"""What a destroyed stage leaves behind where data are kept, and how its next stack takes it over.

Tables, and the key that the secrets in them are under, outlive their stack in prod. They keep their
names too, so that CloudFormation could make none again: the new stack begins as an import of what
is there, and the deployment then adds the rest.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from infra.deploy import stack
from infra.deploy.account import Account, DeployError, code

_OFTEN: Any = {"Delay": 2, "MaxAttempts": 300}
Identifiers = dict[str, dict[str, str]]  #: logical id -> what CloudFormation finds the resource by


def take_over(account: Account, parameters: Mapping[str, str]) -> list[str]:
    """Begins the stage's stack with what an earlier one left: the names of it in the template, none
    when there is a stack already.

    Raises DeployError with CloudFormation's reason, for example that another stack has it.
    """
    if account.stage != stack.KEEPS_DATA or stack.describe(account) is not None:
        return []
    there = found(account)
    if there:
        _import(account, there, parameters)
    return sorted(there)


def found(account: Account) -> Identifiers:
    """What there is of the data that the template describes."""
    return {**_tables(account), **_key_and_alias(account)}


def _tables(account: Account) -> Identifiers:
    resources = json.loads(stack.template_body(account.stage))["Resources"]
    names = {
        name: each["Properties"]["TableName"]["Fn::Sub"].replace("${Stage}", account.stage)
        for name, each in resources.items()
        if each["Type"] == "AWS::DynamoDB::Table"
    }
    return {name: {"TableName": each} for name, each in names.items() if _is_table(account, each)}


def _key_and_alias(account: Account) -> Identifiers:
    alias = f"alias/{account.name('data')}"
    try:
        key = account.client("kms").describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    except ClientError as error:
        if code(error) == "NotFoundException":
            return {}
        raise
    return {"DataKey": {"KeyId": str(key)}, "DataKeyName": {"AliasName": alias}}


def _is_table(account: Account, name: str) -> bool:
    try:
        account.client("dynamodb").describe_table(TableName=name)
    except ClientError as error:
        if code(error) == "ResourceNotFoundException":
            return False
        raise
    return True


def _import(account: Account, there: Identifiers, parameters: Mapping[str, str]) -> None:
    client, name = account.client("cloudformation"), stack.stack_name(account.stage)
    change = {"StackName": name, "ChangeSetName": f"kept-{int(time.time())}"}
    body = stack.template_body(account.stage, only=there)
    kinds = {each: told["Type"] for each, told in json.loads(body)["Resources"].items()}
    client.create_change_set(
        **change,
        ChangeSetType="IMPORT",
        TemplateBody=body,
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        ResourcesToImport=[
            {"LogicalResourceId": each, "ResourceType": kinds[each], "ResourceIdentifier": told}
            for each, told in there.items()
        ],
    )
    try:
        client.get_waiter("change_set_create_complete").wait(**change, WaiterConfig=_OFTEN)
        client.execute_change_set(**change)
        client.get_waiter("stack_import_complete").wait(StackName=name, WaiterConfig=_OFTEN)
    except WaiterError as error:
        told = error.last_response.get("StatusReason") or "\n  ".join(stack.failures(account))
        raise DeployError(f"What is kept cannot be taken into {name}: {told}") from error
