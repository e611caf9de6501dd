"""What goes wrong with a project, and what it is like when all is well again."""

from collections.abc import Collection, Iterable
from itertools import product
from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Caller
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import Trouble, status

STEPS = ("ensure_project", "attach_participants", "list_batches", "sync_users", "finish")
UNDOING = ("attach_participants", "sync_users", "delete_project", "finish")
TROUBLES: tuple[Trouble, ...] = (
    "crash before",
    "crash after",
    "answer lost and repeated",
    "twice at once",
)
ALWAYS = float("inf")
SHOWN = {"list_batches": "sync_users"}


def pairs(
    names: Iterable[str], values: Iterable[str], at_once: Collection[tuple[str, str]]
) -> list[Any]:
    """Parameters for every pair; those `at_once` with all tests, the others with the thorough."""
    return [
        pytest.param(*pair, marks=() if pair in at_once else pytest.mark.thorough)
        for pair in product(names, values)
    ]


def assert_whole(manager: Caller, project_id: str, ids: list[str]) -> None:
    """Active, and everyone is in it, once."""
    shown = status(manager, project_id)
    assert shown["status"] == "active", shown
    count = {"total": len(ids), "synced": len(ids), "failed": 0}
    assert shown["progress"]["users"] == count
    assert shown["progress"]["percent"] == 100
    assert {each["status"] for each in projects.participants(manager, project_id).values()} == {
        "synced"
    }
    assert set(projects.credentials(project_id)) == set(ids)
    assert shown["error"] is None


def executions(cloud: LocalCloud) -> int:
    return sum(cloud.state()["executions"].values())
