"""The data that prod keeps when they leave its stack, and how the stack takes them over again.

Tables, and the key that the secrets in them are under, outlive their stack in prod, and outlive a
template of an earlier release that does not know them. They keep their names too, so CloudFormation
could make none again: it imports what is there, and the deployment then adds the rest.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from infra.deploy import stack, template_bucket
from infra.deploy.account import Account, DeployError, code
from infra.deploy.indexes import as_live
from infra.deploy.live_tables import describe
from infra.deploy.template import KEEPS_DATA, Template, table_name, tables, template, text_of

_OFTEN: Any = {"Delay": 2, "MaxAttempts": 300}
Identifiers = dict[str, dict[str, str]]  #: logical id -> what CloudFormation finds the resource by


def take_over(account: Account, parameters: Mapping[str, str]) -> list[str]:
    """Imports into the stage's stack what exists and is not in it; the names in the template.

    Raises DeployError with CloudFormation's reason, for example that another stack has it.
    """
    if account.stage != KEEPS_DATA:
        return []
    existing = stack.describe(account)
    deployed = json.loads(stack.deployed_body(account)) if existing else None
    there = found(account)
    if deployed is not None:
        there = {name: each for name, each in there.items() if name not in deployed["Resources"]}
    if there:
        if existing:
            stack.refuse_half_made(existing)
        _import(account, there, deployed, parameters)
    return sorted(there)


def found(account: Account) -> Identifiers:
    """What there is of the data that the template describes."""
    return {**_tables(account), **_key_and_alias(account)}


def _tables(account: Account) -> Identifiers:
    described = tables(template(account.stage))
    names = {name: table_name(table, account.stage) for name, table in described.items()}
    return {name: {"TableName": each} for name, each in names.items() if describe(account, each)}


def _key_and_alias(account: Account) -> Identifiers:
    alias = f"alias/{account.name('data')}"
    try:
        key = account.client("kms").describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    except ClientError as error:
        if code(error) == "NotFoundException":
            return {}
        raise
    return {"DataKey": {"KeyId": str(key)}, "DataKeyName": {"AliasName": alias}}


def _import(
    account: Account, there: Identifiers, deployed: Template | None, parameters: Mapping[str, str]
) -> None:
    client, name = account.client("cloudformation"), stack.stack_name(account.stage)
    change = {"StackName": name, "ChangeSetName": f"kept-{int(time.time())}"}
    data = _as_live(account, template(account.stage, only=there))
    whole = data if deployed is None else _joined(deployed, data)
    client.create_change_set(
        **change,
        ChangeSetType="IMPORT",
        TemplateURL=template_bucket.upload(account, text_of(whole)),
        Parameters=_first(parameters) if deployed is None else _unchanged(deployed),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        ResourcesToImport=[
            {
                "LogicalResourceId": each,
                "ResourceType": data["Resources"][each]["Type"],
                "ResourceIdentifier": identifier,
            }
            for each, identifier in there.items()
        ],
    )
    try:
        client.get_waiter("change_set_create_complete").wait(**change, WaiterConfig=_OFTEN)
        client.execute_change_set(**change)
        client.get_waiter("stack_import_complete").wait(StackName=name, WaiterConfig=_OFTEN)
    except WaiterError as error:
        told = error.last_response.get("StatusReason") or "\n  ".join(stack.failures(account))
        raise DeployError(f"What is kept cannot be taken into {name}: {told}") from error


def _joined(deployed: Template, data: Template) -> Template:
    """An import may change nothing else of the stack."""
    return {**deployed, "Resources": {**deployed["Resources"], **data["Resources"]}}


def _first(parameters: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ParameterKey": name, "ParameterValue": each} for name, each in parameters.items()]


def _unchanged(deployed: Template) -> list[dict[str, Any]]:
    return [{"ParameterKey": name, "UsePreviousValue": True} for name in deployed["Parameters"]]


def _as_live(account: Account, described: Template) -> Template:
    """The template with the indexes that its tables have by now.

    CloudFormation believes an imported template: it would never make an index that stands there
    and is missing on DynamoDB. The deployment adds what is missing afterwards.
    """
    for name, table in tables(described).items():
        live = describe(account, table_name(table, account.stage))
        if live is not None:
            described["Resources"][name] = as_live(table, live)
    return described
