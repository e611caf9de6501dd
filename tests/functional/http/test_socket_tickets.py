"""Tickets: what opens a WebSocket, once and for a short time.

In by the ticket's route and a real WebSocket.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from websockets.sync.client import connect

from chalicelib.kernel.settings import settings
from chalicelib.kernel.sockets import connections
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client, aws_calls, let_transactions_meet
from tests.functional.http.lines import TICKETS, Open, refusal, ticket_of

pytestmark = pytest.mark.local  # where sockets are, a deployment's settings alone do not say


@pytest.mark.parametrize("role", ["manager", "staff", "customer"])
def test_any_member_gets_a_ticket_in_one_call(client: Client, role: str) -> None:
    caller = client.as_(role)
    caller.post(TICKETS)  # token and tenant are known from here on
    answer = caller.post(TICKETS)

    assert aws_calls(answer) == 1
    ticket = answer.json()["data"]
    assert ticket["expires_in_seconds"] == 30
    assert ticket["url"].endswith(f"?ticket={ticket['ticket']}")


def test_a_ticket_needs_a_token(client: Client) -> None:
    assert client.send("POST", TICKETS).status_code == 401


def test_a_ticket_is_not_kept_in_a_form_that_opens_anything(manager: Caller) -> None:
    ticket = ticket_of(manager)["ticket"]
    rows = aws.rows("kernel", "#tickets")
    assert len(rows) == 1
    assert ticket not in json.dumps(rows)


def test_a_ticket_opens_one_connection(manager: Caller, line: Open) -> None:
    url = ticket_of(manager)["url"]
    with connect(url):
        assert refusal(url) == 403
    assert refusal(url) == 403


def test_of_two_connections_with_one_ticket_at_once_one_is_opened(manager: Caller) -> None:
    url = ticket_of(manager)["url"]
    let_transactions_meet()
    with ThreadPoolExecutor(8) as pool:
        refused = sorted(pool.map(refusal, [url] * 8))
    assert refused == [0, *[403] * 7]


def test_a_ticket_is_good_for_thirty_seconds(cloud: LocalCloud, manager: Caller) -> None:
    young, old = ticket_of(manager), ticket_of(manager)
    cloud.advance(28)
    assert refusal(young["url"]) == 0
    cloud.advance(3)
    assert refusal(old["url"]) == 403


@pytest.mark.parametrize("query", ["", "?ticket=", "?ticket=guessed", "?ticket=" + "x" * 3000])
def test_what_is_no_ticket_opens_nothing(cloud: LocalCloud, query: str) -> None:
    assert refusal(cloud.sockets.url + query) == 403


def test_a_bearer_token_is_no_ticket(cloud: LocalCloud, manager: Caller) -> None:
    assert refusal(f"{cloud.sockets.url}?ticket={manager.token}") == 403


def test_a_ticket_of_a_tenant_suspended_since_opens_nothing(admin: Caller, client: Client) -> None:
    url = ticket_of(client.as_("manager", "t2"))["url"]
    answer = admin.patch("/admin/v1/tenants/t2", {"status": "suspended"})
    assert answer.status_code == 200, answer.text
    assert refusal(url) == 403


def test_a_ticket_for_a_store_that_is_down_can_be_asked_for_again(manager: Caller) -> None:
    manager.post(TICKETS)
    faults.add(Fault("dynamodb", "TransactWriteItems", "refuse", times=3))
    assert manager.post(TICKETS).status_code == 503
    assert manager.post(TICKETS).status_code == 201


def test_without_an_endpoint_there_are_no_tickets_and_nothing_is_pushed(manager: Caller) -> None:
    endpoint = settings.socket_endpoint
    msgspec.structs.force_setattr(settings, "socket_endpoint", "")
    try:
        assert manager.post(TICKETS).status_code == 404
        faults.clear()
        connections.push("t1", "parcel#1", {})
        assert faults.counts() == {}
    finally:
        msgspec.structs.force_setattr(settings, "socket_endpoint", endpoint)


def test_the_same_request_again_gives_the_same_ticket(manager: Caller) -> None:
    def ask() -> Answer:
        return manager.send("POST", TICKETS, headers={"Idempotency-Key": "k1"})

    first, second = ask(), ask()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.content == first.content
