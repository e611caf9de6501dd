"""Watching a project over a WebSocket: who may, and what is pushed."""

import json
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from infra.local.cloud import LocalCloud
from tests.functional.client import Caller, Client
from tests.functional.projects.sizes import Sizes, in_sizes
from tests.functional.projects.workflow import created, people, status

PATIENCE = 10


def line(caller: Caller) -> ClientConnection:
    """A WebSocket opened by somebody's ticket."""
    ticket = caller.post("/admin/v1/socket-tickets").json()["data"]
    return connect(ticket["url"])


def ask(connection: ClientConnection, **message: str) -> dict[str, Any]:
    connection.send(json.dumps(message))
    answer: dict[str, Any] = json.loads(connection.recv(PATIENCE))
    return answer


def heard(connection: ClientConnection) -> list[dict[str, Any]]:
    """What was pushed until the connection answers a question."""
    connection.send('{"unsubscribe": "nothing#1"}')
    found: list[dict[str, Any]] = []
    while True:
        message = json.loads(connection.recv(PATIENCE))
        if "unsubscribed" in message:
            return found
        found.append(message)


@in_sizes
def test_progress_is_pushed_and_ends_with_what_polling_says(
    cloud: LocalCloud, manager: Caller, sizes: Sizes
) -> None:
    project_id = created(manager, user_ids=people(sizes.batch + sizes.saved // 2, "customer"))
    with line(manager) as connection:
        told = ask(connection, subscribe=f"project#{project_id}")
        assert told == {"subscribed": f"project#{project_id}"}, told
        cloud.run_until_idle()
        pushed = [each["data"] for each in heard(connection)]

    shown = status(manager, project_id)
    last = pushed[-1]
    assert (last["status"], last["percent"]) == (shown["status"], 100)
    assert last["users"] == shown["progress"]["users"]
    assert len({each["users"]["synced"] for each in pushed}) >= 3


@pytest.mark.parametrize("who", ["other", "stranger"])
def test_nobody_else_may_watch(
    cloud: LocalCloud, client: Client, manager: Caller, other: Caller, who: str
) -> None:
    project_id = created(manager)
    caller = other if who == "other" else client.as_("customer")
    with line(caller) as connection:
        told = ask(connection, subscribe=f"project#{project_id}")
        assert told["refused"] == f"project#{project_id}"
        cloud.run_until_idle()
        assert heard(connection) == []
