"""The queues' mappings to their functions: what Chalice cannot set.

ReportBatchItemFailures first and the functions' knowledge of it second: a worker that returns
failures under a mapping which does not understand them would lose them (docs/decisions.md). The
other way round is only slower.
"""

from collections.abc import Iterator
from typing import Any

from infra import policies
from infra.deploy.account import Account, DeployError
from infra.deploy.functions import configuration, tell
from infra.deploy.project import QUEUE_SETTING

FLAG = "ReportBatchItemFailures"
#: What Lambda does when a chain of calls comes back to its function again and again.
RECURSION = "Terminate"


def of_functions(account: Account) -> Iterator[tuple[str, dict[str, Any]]]:
    """(function, mapping) of each function that a queue is mapped to."""
    client = account.client("lambda")
    for function in policies.functions():
        if not configuration(account, function):
            continue
        name = policies.lambda_name(function, account.stage)
        for mapping in client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]:
            yield function, mapping


def all_report(account: Account) -> bool:
    """Whether there are mappings and each has the flag: then the functions may know from start."""
    found = list(of_functions(account))
    return bool(found) and all(reports(mapping) for _, mapping in found)


def reports(mapping: dict[str, Any]) -> bool:
    return FLAG in mapping.get("FunctionResponseTypes", [])


def complete(account: Account) -> list[str]:
    """Sets flag, knowledge and recursion guard where they are missing; what was changed."""
    changed = []
    client = account.client("lambda")
    worked = sorted(of_functions(account), key=lambda pair: pair[0])
    if not worked:
        raise DeployError("No queue is mapped to a function: chalice deploy has not made them")
    for function, mapping in worked:
        if not reports(mapping):
            client.update_event_source_mapping(UUID=mapping["UUID"], FunctionResponseTypes=[FLAG])
            changed.append(f"{function}: {FLAG}")
    for function, _ in worked:
        if tell(account, function, {QUEUE_SETTING: "true"}):
            changed.append(f"{function}: {QUEUE_SETTING}")
        changed += _stop_recursion(account, function)
    return changed


def _stop_recursion(account: Account, function: str) -> list[str]:
    client, name = account.client("lambda"), policies.lambda_name(function, account.stage)
    if client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == RECURSION:
        return []
    client.put_function_recursion_config(FunctionName=name, RecursiveLoop=RECURSION)
    return [f"{function}: recursion guard"]
