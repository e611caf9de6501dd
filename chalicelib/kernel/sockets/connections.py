"""WebSockets: who is connected, which topics they follow, and pushing messages to them.

A push is only a hint. It may be late, lost or sent twice, and polling gives the same news. A
connection is opened with a ticket, which an authorized route gives out: browsers send no header
with a WebSocket, and bearer tokens must not stand in an address, since addresses are logged. A
connection belongs to the caller of its ticket until it ends, after two hours at the latest. Whether
that caller may still hear a topic is asked again before a push: of their record once a minute, of
the topic each time.
"""

import hashlib
import re
import secrets
import time
from typing import Any, Literal

import msgspec
from pynamodb.exceptions import DeleteError, PynamoDBException
from pynamodb.expressions.condition import size

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.auth import identity, tenancy
from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.cache import Cache
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.settings import settings
from chalicelib.kernel.sockets import topics
from chalicelib.kernel.sockets.records import (
    SOCKETS,
    TICKETS,
    Follower,
    Socket,
    Ticket,
    values_of,
)
from chalicelib.kernel.store import failures
from chalicelib.kernel.store.records import KernelRecord
from chalicelib.kernel.store.write_set import WriteSet

TICKET_SECONDS = 30
CONNECTION_SECONDS = 2 * 3600  #: API Gateway ends a connection after this long
MOST_TOPICS = 20  #: the most topics that one connection follows
MOST_FOLLOWERS = 200  #: the most connections that one push is sent to
PUSH_SECONDS = 2.0  #: the time for one push; connections that are left out have to poll
LARGEST_BYTES = 32 * 1024  #: the largest message: one frame of API Gateway

_TOPIC = re.compile(r"([a-z][a-z-]{0,30})#([A-Za-z0-9_-]{1,64})\Z")


class Request(msgspec.Struct, frozen=True):
    """A message from a client."""

    subscribe: str | None = None
    unsubscribe: str | None = None


def issue(caller: Caller) -> tuple[str, WriteSet]:
    """A new ticket, valid once the transaction is committed. Only its digest is stored."""
    text = secrets.token_urlsafe(32)
    row = Ticket(TICKETS, _digest(text), **values_of(caller))
    row.expires_at = clock.epoch_seconds() + TICKET_SECONDS
    transaction = WriteSet()
    transaction.create(row)
    return text, transaction


def address(ticket: str) -> str:
    """The address at which a client opens its connection, with the ticket."""
    base = settings.socket_url or re.sub(r"\Ahttp", "ws", settings.socket_endpoint)
    return f"{base}?ticket={ticket}"


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()


def connect(connection_id: str, ticket: str) -> bool:
    """Uses up the ticket and saves the connection.

    Returns False for a ticket that is unknown, used or expired, or belongs to a suspended tenant.
    """
    used = _use(ticket)
    if used is None or not _is_active(used.owner):
        return False
    row = Socket(SOCKETS, connection_id, **values_of(used.caller))
    row.expires_at = clock.epoch_seconds() + CONNECTION_SECONDS
    row.save()
    return True


def _use(ticket: str) -> Ticket | None:
    """Deletes the ticket and returns it; of two connections at once only one gets it."""
    table = Ticket._get_connection()
    fresh = Ticket.expires_at > clock.epoch_seconds()
    try:
        answer = table.delete_item(
            TICKETS, _digest(ticket), condition=fresh, return_values="ALL_OLD"
        )
    except DeleteError as error:
        if failures.condition_failed(error):
            return None
        raise
    return Ticket.from_raw_data(answer["Attributes"])


def _is_active(tenant_id: str) -> bool:
    tenant = tenancy.find(tenant_id)
    return tenant is not None and tenant.status == "active"


def receive(connection_id: str, text: str) -> None:
    """Does what a client's message requests, and answers it."""
    socket = _find(connection_id)
    if socket is None:
        return
    try:
        answer = _carry_out(socket, msgspec.json.decode(text, type=Request))
    except (msgspec.DecodeError, UnicodeError):
        answer = {"error": 'Send {"subscribe": "<topic>"} or {"unsubscribe": "<topic>"}'}
    _send(connection_id, msgspec.json.encode(answer))


def _find(connection_id: str) -> Socket | None:
    for socket in Socket.query(SOCKETS, Socket.sk == connection_id, consistent_read=True):
        return socket if (socket.expires_at or 0) > clock.epoch_seconds() else None
    return None


def _carry_out(socket: Socket, request: Request) -> dict[str, str]:
    if request.unsubscribe is not None:
        _unfollow(socket, request.unsubscribe)
        return {"unsubscribed": request.unsubscribe}
    if request.subscribe is None:
        return {"error": 'Send {"subscribe": "<topic>"} with a topic'}
    if not _may_follow(socket, request.subscribe):
        return {"refused": request.subscribe, "detail": "There is no such topic for you"}
    if not _follow(socket, request.subscribe):
        return {
            "refused": request.subscribe,
            "detail": f"A connection follows at most {MOST_TOPICS} topics",
        }
    return {"subscribed": request.subscribe}


def _may_follow(socket: Socket, topic: str) -> bool:
    match = _TOPIC.match(topic)
    if match is None or not _is_active(socket.owner):
        return False
    caller = _present(socket.caller)
    return caller is not None and topics.may_follow(caller, match[1], match[2])


def _follow(socket: Socket, topic: str) -> bool:
    """False when the connection follows too many topics already, or has ended."""
    values = values_of(socket.caller)
    row = Follower(socket.owner, _key(topic, socket.sk), connection_id=socket.sk, **values)
    row.expires_at = socket.expires_at
    room = (
        Socket.topics.does_not_exist()
        | (size("topics") < MOST_TOPICS)  # type: ignore[no-untyped-call]
        | Socket.topics.contains(topic)
    )
    transaction = WriteSet()
    transaction.update(socket, [Socket.topics.add({topic})], Socket.sk.exists() & room)
    transaction.save(row)
    return _committed(transaction)


def _unfollow(socket: Socket, topic: str) -> None:
    if topic in (socket.topics or ()):
        transaction = WriteSet()
        transaction.update(socket, [Socket.topics.delete({topic})], Socket.sk.exists())
        transaction.delete(Follower(socket.owner, _key(topic, socket.sk)))
        _committed(transaction)


def _committed(transaction: WriteSet) -> bool:
    try:
        transaction.commit()
    except Conflict:
        return False
    return True


def _key(topic: str, connection_id: str) -> str:
    return f"socket#{topic}#{connection_id}"


def disconnect(connection_id: str) -> None:
    """Deletes the rows of a connection. Safe to repeat; rows that a crash leaves behind expire."""
    for socket in Socket.query(SOCKETS, Socket.sk == connection_id, consistent_read=True):
        keys = [_key(topic, connection_id) for topic in socket.topics or ()]
        with KernelRecord.batch_write() as writing:
            for key in keys:
                writing.delete(Follower(socket.owner, key))
            writing.delete(socket)


def push(tenant_id: str, topic: str, body: dict[str, Any]) -> None:
    """Sends `body` to this tenant's connections that follow the topic.

    Never raises: errors are only logged, and the caller's work goes on.
    """
    if not settings.socket_endpoint:
        return
    try:
        if _is_active(tenant_id):
            _push(tenant_id, topic, msgspec.json.encode({"topic": topic, "data": body}))
    except Exception as error:  # noqa: BLE001  a push is a hint: the work it reports on goes on
        telemetry.log.warning("not pushed", topic=topic, error=type(error).__name__)


def _push(tenant_id: str, topic: str, message: bytes) -> None:
    if len(message) > LARGEST_BYTES:
        raise ValueError("The message is larger than a frame")
    until = time.monotonic() + PUSH_SECONDS
    within = Follower.sk.startswith(_key(topic, ""))
    followers = list(Follower.query(tenant_id, within, limit=MOST_FOLLOWERS))
    for follower in _who_may_hear(topic, followers):
        if time.monotonic() > until:
            telemetry.log.warning("push cut short", topic=topic)
            return
        _send(follower.connection_id, message)


def _who_may_hear(topic: str, followers: list[Follower]) -> list[Follower]:
    """Those who may still follow the topic; the rows of the others are deleted."""
    present = [(row, caller) for row in followers if (caller := _present(row.caller))]
    kind, _, topic_id = topic.partition("#")
    callers = topics.who_may_hear(kind, topic_id, [caller for _, caller in present])
    hearing = [row for row, caller in present if caller in callers]
    with KernelRecord.batch_write() as writing:
        for row in followers:
            if row not in hearing:
                writing.delete(row)
    return hearing


def _find_present(caller: Caller) -> Caller | Literal["ended"]:
    return identity.admitted(caller, identity.stand(caller, may_bind=False)) or "ended"


#: Callers as their records see them now, or that their access has ended.
_records = Cache(_find_present, keep_seconds=lambda: identity.KEEP_SECONDS)


def _present(caller: Caller) -> Caller | None:
    """The caller with the authority that is left, at most a minute old; None if there is none."""
    if not caller.subject:
        return None  # followed under an earlier release, which did not note who
    found = _records.get(caller)
    return None if found == "ended" else found


def _send(connection_id: str, message: bytes) -> None:
    """Sends to one connection; the rows of one that is gone are deleted."""
    client = aws.client("apigatewaymanagementapi")
    try:
        client.post_to_connection(ConnectionId=connection_id, Data=message)
    except aws.ServiceError as error:
        if aws.code_of(error) != "GoneException":
            raise
        _delete_gone(connection_id)


def _delete_gone(connection_id: str) -> None:
    try:
        disconnect(connection_id)
    except PynamoDBException as error:
        # The next push tries again, and the rows expire in any case.
        telemetry.log.warning("not forgotten", error=type(error).__name__)
