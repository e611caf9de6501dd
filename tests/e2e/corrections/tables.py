"""AWS's rules for tables that exist already, which ministack does not keep.

CloudFormation makes no table whose name is taken. An UpdateTable creates or deletes one index, and
none while another is created; CloudFormation refuses an update of a stack that changes two of one
table, or the definition of one. A new index takes a while, and no stack waits for it.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
"""

import threading
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

BUILD_SECONDS = 2.0
_TABLE = "AWS::DynamoDB::Table"
_GSI = "GlobalSecondaryIndexes"
_TWO_AT_ONCE = (
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per "
    "table"
)
_TWO_IN_A_STACK = "Cannot perform more than one GSI creation or deletion in a single update"
_CHANGED = (
    "Cannot update GSI's properties other than Provisioned Throughput and Contributor Insights "
    "Specification. You can create a new GSI with a different name."
)


def install() -> None:
    update_table = dynamodb._update_table
    update_in_stack, create = provisioners._ddb_update, provisioners._ddb_create

    def one_at_a_time(asked: dict[str, Any]) -> Any:
        changes = asked.get("GlobalSecondaryIndexUpdates", [])
        created = [each["Create"]["IndexName"] for each in changes if "Create" in each]
        deleted = [each for each in changes if "Delete" in each]
        busy = any(each.get("IndexStatus") == "CREATING" for each in _indexes(asked["TableName"]))
        if len(created) + len(deleted) > (0 if busy else 1):
            return error_response_json("LimitExceededException", _TWO_AT_ONCE, 400)
        answer = update_table(asked)
        if answer[0] < 400:
            for name in created:
                _build(asked["TableName"], name)
        return answer

    def under_a_free_name(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        name = properties["TableName"]
        if name in dynamodb._tables:
            raise ValueError(
                f"Resource of type '{_TABLE}' with identifier '{name}' already exists."
            )
        return create(logical_id, properties, stack)

    def one_in_a_stack(name: str, old: Any, new: Any, stack: str, logical_id: Any = None) -> Any:
        before, after = ({i["IndexName"]: i for i in each.get(_GSI, [])} for each in (old, new))
        if len(before.keys() ^ after.keys()) > 1:
            raise ValueError(_TWO_IN_A_STACK)
        if any(before[each] != after[each] for each in before.keys() & after.keys()):
            raise ValueError(_CHANGED)
        return update_in_stack(name, old, new, stack, logical_id)

    dynamodb._update_table = one_at_a_time
    provisioners._ddb_update = one_in_a_stack
    handlers = {"create": under_a_free_name, "update": one_in_a_stack}
    provisioners._RESOURCE_HANDLERS[_TABLE] |= handlers


def _indexes(table: str) -> list[dict[str, Any]]:
    return (dynamodb._tables.get(table) or {}).get(_GSI) or []


def _build(table: str, name: str) -> None:
    (index,) = (each for each in _indexes(table) if each["IndexName"] == name)
    index["IndexStatus"] = "CREATING"
    timer = threading.Timer(BUILD_SECONDS, index.update, [{"IndexStatus": "ACTIVE"}])
    timer.daemon = True
    timer.start()
