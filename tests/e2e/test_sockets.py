"""A WebSocket of the deployed stage: opened by a ticket, told of a project until it is active."""

import json
import ssl
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .conftest import STAGE, Deployment

HEARD_SECONDS = 60
Json = dict[str, Any]


def test_who_watches_a_project_hears_how_it_becomes_active(
    deployed: Deployment, tenant: str
) -> None:
    with _opened(deployed, _ticket(deployed)) as socket:
        _say(socket, unsubscribe="nothing#1")  # no cold start between the project and its watcher
        assert _next(socket) == {"unsubscribed": "nothing#1"}
        topic = f"project#{_project(deployed)}"
        _say(socket, subscribe=topic)
        heard = list(_until_ended(socket))

    assert {"subscribed": topic} in heard
    told = [each["data"] for each in heard if "data" in each]
    assert {each["topic"] for each in heard if "data" in each} == {topic}
    assert told[-1]["status"] == "active"
    percents = [each["percent"] for each in told]
    assert percents == sorted(percents)


def test_a_ticket_opens_one_connection(deployed: Deployment, tenant: str) -> None:
    ticket = _ticket(deployed)
    with _opened(deployed, ticket):
        pass
    for refused in (ticket, f"{ticket}x"):
        with pytest.raises(InvalidStatus), _opened(deployed, refused):
            pass


def test_another_tenants_project_is_not_followed(deployed: Deployment, tenant: str) -> None:
    topic = f"project#{_project(deployed)}"
    with _opened(deployed, _ticket(deployed, tenant_id=_other_tenant(deployed))) as socket:
        _say(socket, subscribe=topic)
        assert _next(socket)["refused"] == topic


def _ticket(deployed: Deployment, **claims: Any) -> str:
    token = deployed.issuer.token(**claims)
    answer = deployed.call("POST", "/admin/v1/socket-tickets", token=token)
    assert answer.status == 201, answer.data
    return str(answer.json()["data"]["url"])


def _opened(deployed: Deployment, url: str) -> ClientConnection:
    trusted = ssl.create_default_context(cafile=deployed.ministack.certificate)
    return connect(url, ssl=trusted, open_timeout=HEARD_SECONDS, proxy=None)


def _say(socket: ClientConnection, **message: str) -> None:
    socket.send(json.dumps(message))


def _next(socket: ClientConnection) -> Json:
    heard: Json = json.loads(socket.recv(HEARD_SECONDS))
    return heard


def _until_ended(socket: ClientConnection) -> Iterator[Json]:
    while True:
        heard = _next(socket)
        yield heard
        if heard.get("data", {}).get("status") in ("active", "failed"):
            return


def _project(deployed: Deployment) -> str:
    token = deployed.issuer.token()
    email = f"{uuid.uuid4().hex}@example.com"
    made = deployed.call(
        "POST", "/admin/v1/users", {"name": "Cay", "email": email, "role": "staff"}, token=token
    )
    assert made.status == 201, made.data
    body = {"name": f"Birch {email[:8]}", "user_ids": [made.json()["data"]["user"]["id"]]}
    answer = deployed.call("POST", "/admin/v1/projects", body, token=token)
    assert answer.status == 201, answer.data
    return str(answer.json()["data"]["id"])


def _other_tenant(deployed: Deployment) -> str:
    row = {"tenant": "#tenants", "sk": "t-other", "name": "O", "status": "active", "sender": ""}
    deployed.ministack.client("dynamodb").put_item(
        TableName=f"backburner-{STAGE}-kernel",
        Item={name: {"S": value} for name, value in row.items()},
    )
    return "t-other"
