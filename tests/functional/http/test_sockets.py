"""WebSockets: a topic is followed by who may, and what goes wrong is harmless.

In by a real WebSocket, out at the client's end and in the table.
"""

from collections.abc import Iterator

import pytest

from chalicelib.kernel.auth.tenancy import Caller as Member
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.sockets import connections, records, topics
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Caller, Client
from tests.functional.http.lines import PATIENCE, Open, kept, refusal, ticket_of


@pytest.fixture(autouse=True)
def parcels() -> Iterator[list[Member]]:
    """Topics `parcel#<id>`, which all may follow but those of `secret`; who asked."""
    asked: list[Member] = []

    @topics.topic("parcel")
    def may_follow(caller: Member, parcel_id: str) -> bool:
        asked.append(caller)
        if parcel_id == "unknown":
            raise NotFound
        return parcel_id != "secret"

    yield asked
    del topics._may_follow["parcel"], topics._among["parcel"]


# Topics ------------------------------------------------------------------------------------------


def test_a_topic_is_followed_and_what_is_pushed_arrives(manager: Caller, line: Open) -> None:
    socket = line(manager)
    assert socket.ask(subscribe="parcel#1") == {"subscribed": "parcel#1"}

    connections.push("t1", "parcel#1", {"percent": 40})
    connections.push("t1", "parcel#1", {"percent": 60})

    assert socket.next() == {"topic": "parcel#1", "data": {"percent": 40}}
    assert socket.next() == {"topic": "parcel#1", "data": {"percent": 60}}


def test_another_tenants_socket_gets_nothing(manager: Caller, other: Caller, line: Open) -> None:
    ours, theirs = line(manager), line(other)
    for socket in (ours, theirs):
        socket.ask(subscribe="parcel#1")

    connections.push("t1", "parcel#1", {"percent": 40})

    assert ours.next()["data"] == {"percent": 40}
    assert theirs.is_quiet()


def test_only_what_was_asked_for_arrives(manager: Caller, line: Open) -> None:
    silent, socket = line(manager), line(manager)
    socket.ask(subscribe="parcel#1")
    connections.push("t1", "parcel#10", {})
    connections.push("t1", "parcel#1", {"n": 1})

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
    connections.push("t1", "parcel#1", {})
    assert socket.is_quiet()


def test_a_connection_follows_twenty_topics(manager: Caller, line: Open) -> None:
    socket = line(manager)
    for number in range(20):
        assert "subscribed" in socket.ask(subscribe=f"parcel#{number}")
    assert "at most 20" in socket.ask(subscribe="parcel#20")["detail"]
    assert "subscribed" in socket.ask(subscribe="parcel#3")


def test_a_tenant_suspended_since_hears_nothing(admin: Caller, manager: Caller, line: Open) -> None:
    socket = line(manager)
    socket.ask(subscribe="parcel#1")
    admin.patch("/admin/v1/tenants/t1", {"status": "suspended"})
    connections.push("t1", "parcel#1", {})
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
    whose = {"owner": "t1", "subject": "x", "role": "staff"}
    records.Socket("#sockets", gone, topics={"parcel#1"}, **whose).save()
    records.Follower("t1", f"socket#parcel#1#{gone}", connection_id=gone, **whose).save()

    connections.push("t1", "parcel#1", {"n": 1})

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
        connections.push("t1", "parcel#1", {"n": number})

    assert [well.next()["data"]["n"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("operation", ["Query", "*"])
def test_a_push_never_fails_what_it_tells_of(manager: Caller, line: Open, operation: str) -> None:
    socket = line(manager)
    socket.ask(subscribe="parcel#1")
    faults.clear()
    faults.add(Fault("dynamodb", operation, "refuse", times=None))
    connections.push("t1", "parcel#1", {"n": 1})
    assert sum(tries["faulted"] for tries in faults.counts().values()) > 0

    faults.clear()
    connections.push("t1", "parcel#1", {"n": 2})
    assert socket.next()["data"] == {"n": 2}  # the first to be heard


def test_a_message_too_large_is_not_sent(manager: Caller, line: Open) -> None:
    socket = line(manager)
    socket.ask(subscribe="parcel#1")
    connections.push("t1", "parcel#1", {"text": "x" * 40_000})
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
