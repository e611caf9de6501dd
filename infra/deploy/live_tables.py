"""What DynamoDB says of a stage's tables, and the wait until their indexes are ready.

CloudFormation does not wait for an index, and deletes none that a failed update has left:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
"""

import json
import time
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.account import Account, DeployError, code
from infra.deploy.indexes import Change
from infra.deploy.template import Template, table_name, tables

_LOOK_SECONDS = 1
_PATIENCE_SECONDS = 1800


def describe(account: Account, name: str) -> dict[str, Any] | None:
    """DynamoDB's description of a table, or None when there is none."""
    try:
        answer = account.client("dynamodb").describe_table(TableName=name)
    except ClientError as error:
        if code(error) == "ResourceNotFoundException":
            return None
        raise
    table: dict[str, Any] = answer["Table"]
    return table


def await_ready(account: Account, template: Template) -> None:
    """Waits until every index of these tables is ACTIVE: DynamoDB takes one change at a time.

    Raises DeployError after half an hour; DynamoDB goes on, and so does the next deployment.
    """
    ends = time.monotonic() + _PATIENCE_SECONDS
    for table in tables(template).values():
        name = table_name(table, account.stage)
        while busy := _busy(describe(account, name)):
            if time.monotonic() > ends:
                raise DeployError(
                    f"Table {name}: {busy} after {_PATIENCE_SECONDS // 60} minutes. DynamoDB goes "
                    "on by itself; run the same command again later, which goes on from there"
                )
            time.sleep(_LOOK_SECONDS)  # DynamoDB reports to nobody; it can only be asked


def refuse_left_over(account: Account, template: Template, changes: tuple[Change, ...]) -> None:
    """Raises DeployError, with the cure, when an index to be added exists already."""
    for change in changes:
        name = table_name(tables(template)[change.table], account.stage)
        found = {each["IndexName"] for each in _indexes(describe(account, name))}
        if change.kind == "adds" and change.index in found:
            update = json.dumps([{"Delete": {"IndexName": change.index}}])
            raise DeployError(
                f"Table {name} has the index {change.index} already, and its stack does not know "
                "that: an update that failed may have left it. Delete it, then deploy again:\n"
                f"  aws dynamodb update-table --table-name {name} "
                f"--global-secondary-index-updates '{update}'"
            )


def refuse_missing(account: Account, template: Template, changes: tuple[Change, ...]) -> None:
    """Raises DeployError when CloudFormation reports changes that DynamoDB does not show."""
    for change in changes:
        name = table_name(tables(template)[change.table], account.stage)
        found = {each["IndexName"] for each in _indexes(describe(account, name))}
        if (change.index in found) != (change.kind == "adds"):
            raise DeployError(
                f"The update of the stack {change.kind} the index {change.index} of {name}, but "
                "DynamoDB does not show that. Was the table changed by hand?"
            )


def _busy(table: dict[str, Any] | None) -> str:
    """What is under way at a table in words; empty when nothing is."""
    working = [
        f"index {each['IndexName']} is {each['IndexStatus']}"
        for each in _indexes(table)
        if each.get("IndexStatus", "ACTIVE") != "ACTIVE"
    ]
    if table and table["TableStatus"] == "UPDATING":
        working.append("it is UPDATING")
    return " and ".join(working)


def _indexes(table: dict[str, Any] | None) -> list[dict[str, Any]]:
    return list((table or {}).get("GlobalSecondaryIndexes", []))
