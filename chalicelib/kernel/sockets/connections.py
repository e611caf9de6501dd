"""WebSockets: who is connected, what they follow, and sending it to them.

A hint and never the truth: what is pushed may be late, lost or doubled, and polling says the same.
A connection is opened with a ticket, which an authorized route gives out: a browser's socket sends
no header, and a bearer token has no place in an address, since addresses are logged. What somebody
was when they got their ticket they stay until the connection ends, after two hours at the latest.

    tenant      sk                                    record
    #tickets    <digest of the ticket>                Ticket    used once, by a conditional delete
    #sockets    <connection>                          Socket    whose it is, and what it follows
    <tenant>    socket#<topic>#<connection>           Follower  found by a push
"""

import hashlib
import re
import secrets
import time
from typing import Any, cast

import msgspec
from pynamodb.attributes import UnicodeAttribute, UnicodeSetAttribute
from pynamodb.exceptions import DeleteError, PynamoDBException
from pynamodb.expressions.condition import size

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.settings import settings
from chalicelib.kernel.sockets import topics
from chalicelib.kernel.store import failures
from chalicelib.kernel.store.records import KernelRecord
from chalicelib.kernel.store.write_set import WriteSet

TICKET_SECONDS = 30
CONNECTION_SECONDS = 2 * 3600  #: API Gateway ends a connection after this long
MOST_TOPICS = 20  #: that one connection follows
MOST_FOLLOWERS = 200  #: that one push is sent to
PUSH_SECONDS = 2.0  #: spent on one push; who is left polls
LARGEST_BYTES = 32 * 1024  #: of a message: one frame of API Gateway's

_TICKETS, _SOCKETS = "#tickets", "#sockets"  # partitions; no tenant id begins with '#'
_TOPIC = re.compile(r"([a-z][a-z-]{0,30})#([A-Za-z0-9_-]{1,64})\Z")


class Ticket(KernelRecord):
    """What a ticket admits to; `expires_at` is the end of its time."""

    owner = UnicodeAttribute()  #: tenant
    subject = UnicodeAttribute()
    role = UnicodeAttribute()


class Socket(KernelRecord):
    """A connection and whose it is."""

    owner = UnicodeAttribute()  #: tenant
    subject = UnicodeAttribute()
    role = UnicodeAttribute()
    topics = UnicodeSetAttribute(null=True)


class Follower(KernelRecord):
    """A connection that follows a topic of this tenant's."""

    connection_id = UnicodeAttribute()


class Request(msgspec.Struct, frozen=True):
    """A message from a client."""

    subscribe: str | None = None
    unsubscribe: str | None = None


def issue(caller: Caller) -> tuple[str, WriteSet]:
    """A new ticket, good once the transaction is committed. Only its digest is stored."""
    text = secrets.token_urlsafe(32)
    row = Ticket(_TICKETS, _digest(text), owner=caller.tenant_id)
    row.subject, row.role = caller.subject, caller.role
    row.expires_at = clock.epoch_seconds() + TICKET_SECONDS
    transaction = WriteSet()
    transaction.create(row)
    return text, transaction


def address(ticket: str) -> str:
    """Where a client opens its connection, the ticket included."""
    base = settings.socket_url or re.sub(r"\Ahttp", "ws", settings.socket_endpoint)
    return f"{base}?ticket={ticket}"


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()


def connect(connection_id: str, ticket: str) -> bool:
    """Uses the ticket up; False for one that is unknown, used or old, or of a suspended tenant."""
    admitted = _use(ticket)
    if admitted is None or not _is_active(admitted.owner):
        return False
    row = Socket(_SOCKETS, connection_id, owner=admitted.owner)
    row.subject, row.role = admitted.subject, admitted.role
    row.expires_at = clock.epoch_seconds() + CONNECTION_SECONDS
    row.save()
    return True


def _use(ticket: str) -> Ticket | None:
    """One that is used by two connections at once admits one of them."""
    table = Ticket._get_connection()
    fresh = Ticket.expires_at > clock.epoch_seconds()
    try:
        answer = table.delete_item(
            _TICKETS, _digest(ticket), condition=fresh, return_values="ALL_OLD"
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
    """Does what a message asks for and says so to its sender."""
    socket = _find(connection_id)
    if socket is None:
        return
    try:
        answer = _carry_out(socket, msgspec.json.decode(text, type=Request))
    except (msgspec.DecodeError, UnicodeError):
        answer = {"error": 'Send {"subscribe": "<topic>"} or {"unsubscribe": "<topic>"}'}
    _send(connection_id, msgspec.json.encode(answer))


def _find(connection_id: str) -> Socket | None:
    for socket in Socket.query(_SOCKETS, Socket.sk == connection_id, consistent_read=True):
        return socket if (socket.expires_at or 0) > clock.epoch_seconds() else None
    return None


def _carry_out(socket: Socket, request: Request) -> dict[str, str]:
    if request.unsubscribe is not None:
        _leave(socket, request.unsubscribe)
        return {"unsubscribed": request.unsubscribe}
    if request.subscribe is None:
        return {"error": "Name a topic to subscribe to"}
    if not _may(socket, request.subscribe):
        return {"refused": request.subscribe, "detail": "There is no such topic for you"}
    if not _follow(socket, request.subscribe):
        return {"refused": request.subscribe, "detail": f"At most {MOST_TOPICS} topics"}
    return {"subscribed": request.subscribe}


def _may(socket: Socket, wanted: str) -> bool:
    named = _TOPIC.match(wanted)
    if named is None or not _is_active(socket.owner):
        return False
    caller = Caller(socket.subject, cast("Role", socket.role), socket.owner)
    return topics.may(caller, named[1], named[2])


def _follow(socket: Socket, wanted: str) -> bool:
    """False when the connection follows too many already, or has ended."""
    row = Follower(socket.owner, _key(wanted, socket.sk), connection_id=socket.sk)
    row.expires_at = socket.expires_at
    room = (
        Socket.topics.does_not_exist()
        | (size("topics") < MOST_TOPICS)  # type: ignore[no-untyped-call]
        | Socket.topics.contains(wanted)
    )
    transaction = WriteSet()
    transaction.update(socket, [Socket.topics.add({wanted})], Socket.sk.exists() & room)
    transaction.save(row)
    return _done(transaction)


def _leave(socket: Socket, left: str) -> None:
    if left in (socket.topics or ()):
        transaction = WriteSet()
        transaction.update(socket, [Socket.topics.delete({left})], Socket.sk.exists())
        transaction.delete(Follower(socket.owner, _key(left, socket.sk)))
        _done(transaction)


def _done(transaction: WriteSet) -> bool:
    try:
        transaction.commit()
    except Conflict:
        return False
    return True


def _key(followed: str, connection_id: str) -> str:
    return f"socket#{followed}#{connection_id}"


def disconnect(connection_id: str) -> None:
    """Forgets a connection. Again is harmless; what a crash leaves behind has a TTL."""
    for socket in Socket.query(_SOCKETS, Socket.sk == connection_id, consistent_read=True):
        keys = [_key(each, connection_id) for each in socket.topics or ()]
        with KernelRecord.batch_write() as writing:
            for key in keys:
                writing.delete(Follower(socket.owner, key))
            writing.delete(socket)


def push(tenant_id: str, followed: str, body: dict[str, Any]) -> None:
    """Sends `body` to this tenant's connections that follow the topic.

    Whatever goes wrong is the push's own affair: the caller's work goes on.
    """
    if not settings.socket_endpoint:
        return
    try:
        if _is_active(tenant_id):
            _push(tenant_id, followed, msgspec.json.encode({"topic": followed, "data": body}))
    except Exception as error:  # noqa: BLE001  a hint that fails must not fail what it hints at
        telemetry.log.warning("not pushed", topic=followed, error=type(error).__name__)


def _push(tenant_id: str, followed: str, message: bytes) -> None:
    if len(message) > LARGEST_BYTES:
        raise ValueError("The message is larger than a frame")
    until = time.monotonic() + PUSH_SECONDS
    found = Follower.query(
        tenant_id, Follower.sk.startswith(_key(followed, "")), limit=MOST_FOLLOWERS
    )
    for follower in found:
        if time.monotonic() > until:
            telemetry.log.warning("push cut short", topic=followed)
            return
        _send(follower.connection_id, message)


def _send(connection_id: str, message: bytes) -> None:
    """To one connection; one that is gone is forgotten."""
    client = aws.client("apigatewaymanagementapi")
    try:
        client.post_to_connection(ConnectionId=connection_id, Data=message)
    except aws.ServiceError as error:
        if aws.code_of(error) != "GoneException":
            raise
        _forget_gone(connection_id)


def _forget_gone(connection_id: str) -> None:
    try:
        disconnect(connection_id)
    except PynamoDBException as error:
        # Its rows stay until their TTL, and the next push tries again.
        telemetry.log.warning("not forgotten", error=type(error).__name__)
