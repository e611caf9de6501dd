"""WebSockets: a ticket opens one, a topic is followed by who may, and what goes wrong is harmless.

In by the ticket's route and a real WebSocket, out at the client's end and in the table.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from chalicelib.kernel import sockets
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.settings import settings
from chalicelib.kernel.tenancy import Caller as Member
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client, aws_calls

TICKETS = "/admin/v1/socket-tickets"
PATIENCE = 10
DEAF_SECONDS = 0.3
Open = Callable[[Caller], "Line"]


class Line:
    """An open WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def ask(self, **message: str) -> dict[str, Any]:
        self.connection.send(json.dumps(message))
        return self.next()

    def next(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.connection.recv(PATIENCE))
        return answer

    def is_quiet(self) -> bool:
        """Nothing has come so far: the answer to a question is the first to be heard."""
        return self.ask(unsubscribe="nothing#1") == {"unsubscribed": "nothing#1"}

    def is_deaf(self) -> bool:
        """No answer comes, for a time in which there would long have been one."""
        self.connection.send('{"subscribe": "parcel#1"}')
        try:
            self.connection.recv(DEAF_SECONDS)
        except TimeoutError:
            return True
        return False


@pytest.fixture(autouse=True)
def parcels() -> Iterator[list[Member]]:
    """Topics `parcel#<id>`, which all may follow but those of `secret`; who asked."""
    asked: list[Member] = []

    @sockets.topic("parcel")
    def may_follow(caller: Member, parcel_id: str) -> bool:
        asked.append(caller)
        if parcel_id == "unknown":
            raise NotFound
        return parcel_id != "secret"

    yield asked
    del sockets._may_follow["parcel"]


@pytest.fixture
def line(cloud: LocalCloud) -> Iterator[Open]:
    with ExitStack() as lines:
        yield lambda caller: Line(lines.enter_context(connect(ticket_of(caller)["url"])))
    cloud.sockets.close_all()


def ticket_of(caller: Caller) -> dict[str, Any]:
    answer = caller.post(TICKETS)
    assert answer.status_code == 201, answer.text
    ticket: dict[str, Any] = answer.json()["data"]
    return ticket


def refusal(url: str) -> int:
    """The status that a connection is refused with; 0 for one that is not."""
    try:
        with connect(url):
            return 0
    except InvalidStatus as error:
        return int(error.response.status_code)


def kept() -> list[str]:
    """The rows of connections and of who follows what."""
    rows = [*aws.rows("kernel", "#sockets"), *aws.rows("kernel"), *aws.rows("kernel", "t2")]
    return [sk for sk in rows if sk.startswith("socket#") or sk in aws.rows("kernel", "#sockets")]


# Tickets -----------------------------------------------------------------------------------------


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
    assert ticket not in json.dumps(aws.rows("kernel", "#tickets"))


def test_a_ticket_opens_one_connection(manager: Caller, line: Open) -> None:
    url = ticket_of(manager)["url"]
    with connect(url):
        assert refusal(url) == 403
    assert refusal(url) == 403


def test_of_two_connections_with_one_ticket_at_once_one_is_opened(manager: Caller) -> None:
    url = ticket_of(manager)["url"]
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
    object.__setattr__(settings, "socket_endpoint", "")
    try:
        assert manager.post(TICKETS).status_code == 404
        faults.clear()
        sockets.push("t1", "parcel#1", {})
        assert faults.counts() == {}
    finally:
        object.__setattr__(settings, "socket_endpoint", endpoint)


def test_the_same_request_again_gives_the_same_ticket(manager: Caller) -> None:
    def ask() -> Answer:
        return manager.send("POST", TICKETS, headers={"Idempotency-Key": "k1"})

    first, second = ask(), ask()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.content == first.content


# Topics ------------------------------------------------------------------------------------------


def test_a_topic_is_followed_and_what_is_pushed_arrives(manager: Caller, line: Open) -> None:
    socket = line(manager)
    assert socket.ask(subscribe="parcel#1") == {"subscribed": "parcel#1"}

    sockets.push("t1", "parcel#1", {"percent": 40})
    sockets.push("t1", "parcel#1", {"percent": 60})

    assert socket.next() == {"topic": "parcel#1", "data": {"percent": 40}}
    assert socket.next() == {"topic": "parcel#1", "data": {"percent": 60}}


def test_another_tenants_socket_gets_nothing(manager: Caller, other: Caller, line: Open) -> None:
    ours, theirs = line(manager), line(other)
    for socket in (ours, theirs):
        socket.ask(subscribe="parcel#1")

    sockets.push("t1", "parcel#1", {"percent": 40})

    assert ours.next()["data"] == {"percent": 40}
    assert theirs.is_quiet()


def test_only_what_was_asked_for_arrives(manager: Caller, line: Open) -> None:
    silent, socket = line(manager), line(manager)
    socket.ask(subscribe="parcel#1")
    sockets.push("t1", "parcel#10", {})
    sockets.push("t1", "parcel#1", {"n": 1})

    assert socket.next()["data"] == {"n": 1}
    assert silent.is_quiet()


def test_the_domain_decides_who_may_follow_and_knows_who_asks(
    client: Client, line: Open, parcels: list[Member]
) -> None:
    socket = line(client.as_("staff", sub="ann"))
    assert socket.ask(subscribe="parcel#secret")["refused"] == "parcel#secret"
    assert socket.ask(subscribe="parcel#unknown")["refused"] == "parcel#unknown"
    asked = {(caller.subject, caller.role, caller.tenant_id) for caller in parcels}
    assert asked == {("ann", "staff", "t1")}


def test_an_admin_follows_what_is_in_the_tenant_they_named(
    admin: Caller, line: Open, parcels: list[Member]
) -> None:
    line(admin).ask(subscribe="parcel#1")
    (caller,) = parcels
    assert (caller.role, caller.tenant_id) == ("admin", "t1")


@pytest.mark.parametrize(
    "topic", ["", "parcel", "parcel#", "letter#1", "#1", "parcel#1#2", "parcel#" + "x" * 65]
)
def test_what_nobody_declared_nobody_follows(manager: Caller, line: Open, topic: str) -> None:
    assert line(manager).ask(subscribe=topic)["refused"] == topic


@pytest.mark.parametrize("text", ["", "{", "[]", '"parcel#1"', '{"subscribe": 1}', "{}"])
def test_a_message_that_makes_no_sense_is_answered_and_the_line_stays(
    manager: Caller, line: Open, text: str
) -> None:
    socket = line(manager)
    socket.connection.send(text)
    assert "error" in socket.next()
    assert "subscribed" in socket.ask(subscribe="parcel#1")


def test_who_leaves_a_topic_hears_no_more_of_it(manager: Caller, line: Open) -> None:
    socket = line(manager)
    socket.ask(subscribe="parcel#1")
    assert socket.ask(unsubscribe="parcel#1") == {"unsubscribed": "parcel#1"}
    assert socket.ask(unsubscribe="parcel#2") == {"unsubscribed": "parcel#2"}
    sockets.push("t1", "parcel#1", {})
    assert socket.is_quiet()


def test_a_connection_follows_twenty_topics(manager: Caller, line: Open) -> None:
    socket = line(manager)
    for number in range(20):
        assert "subscribed" in socket.ask(subscribe=f"parcel#{number}")
    assert "At most 20" in socket.ask(subscribe="parcel#20")["detail"]
    assert "subscribed" in socket.ask(subscribe="parcel#3")


def test_a_tenant_suspended_since_hears_nothing(admin: Caller, manager: Caller, line: Open) -> None:
    socket = line(manager)
    socket.ask(subscribe="parcel#1")
    admin.patch("/admin/v1/tenants/t1", {"status": "suspended"})
    sockets.push("t1", "parcel#1", {})
    assert socket.is_quiet()


# Ends --------------------------------------------------------------------------------------------


def test_a_connection_that_ends_leaves_nothing(
    cloud: LocalCloud, manager: Caller, line: Open
) -> None:
    socket = line(manager)
    socket.ask(subscribe="parcel#1")
    assert len(kept()) == 2
    socket.connection.close()
    assert cloud.sockets.activity.wait_until_none(PATIENCE)

    assert kept() == []


def test_a_connection_of_which_nobody_heard_that_it_ended_is_forgotten_at_the_next_push(
    manager: Caller, line: Open
) -> None:
    socket = line(manager)
    socket.ask(subscribe="parcel#1")
    gone = "gone-long-ago="
    sockets.Socket(
        "#sockets", gone, owner="t1", subject="x", role="staff", topics={"parcel#1"}
    ).save()
    sockets.Follower("t1", f"socket#parcel#1#{gone}", connection_id=gone).save()

    sockets.push("t1", "parcel#1", {"n": 1})

    assert socket.next()["data"] == {"n": 1}
    assert not [sk for sk in kept() if gone in sk]


def test_a_connection_hears_nothing_after_its_two_hours(
    cloud: LocalCloud, manager: Caller, line: Open
) -> None:
    socket = line(manager)
    cloud.advance(2 * 3600 + 1)
    assert socket.is_deaf()


def test_a_push_to_a_socket_that_crashed_is_harmless_and_the_others_get_it(
    manager: Caller, line: Open
) -> None:
    crashed, well = line(manager), line(manager)
    for socket in (crashed, well):
        socket.ask(subscribe="parcel#1")
    crashed.connection.socket.close()

    for number in range(3):
        sockets.push("t1", "parcel#1", {"n": number})

    assert [well.next()["data"]["n"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("operation", ["Query", "*"])
def test_a_push_never_fails_what_it_tells_of(manager: Caller, line: Open, operation: str) -> None:
    line(manager).ask(subscribe="parcel#1")
    faults.add(Fault("dynamodb", operation, "refuse", times=None))
    sockets.push("t1", "parcel#1", {"n": 1})


def test_a_message_too_large_is_not_sent(manager: Caller, line: Open) -> None:
    socket = line(manager)
    socket.ask(subscribe="parcel#1")
    sockets.push("t1", "parcel#1", {"text": "x" * 40_000})
    assert socket.is_quiet()


def test_a_connection_that_cannot_be_saved_is_refused_and_another_ticket_opens_one(
    manager: Caller,
) -> None:
    url = ticket_of(manager)["url"]
    faults.add(Fault("dynamodb", "PutItem", "refuse", times=3))
    assert refusal(url) >= 500
    assert refusal(ticket_of(manager)["url"]) == 0


def test_trouble_with_a_message_is_told_and_the_line_stays(manager: Caller, line: Open) -> None:
    socket = line(manager)
    faults.add(Fault("dynamodb", "TransactWriteItems", "refuse", times=3))
    assert socket.ask(subscribe="parcel#1")["message"] == "Internal server error"
    assert "subscribed" in socket.ask(subscribe="parcel#1")
