"""Tickets for WebSockets."""

import msgspec

from chalicelib.kernel.auth.tenancy import EVERYONE, Caller
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.http.routes import Calls, Reply, Routes
from chalicelib.kernel.settings import settings
from chalicelib.kernel.sockets import connections

routes = Routes()


class TicketView(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket for one WebSocket connection."""

    ticket: str
    url: str  #: the address of the connection, with the ticket
    expires_in_seconds: int


@routes.post(
    "/admin/v1/socket-tickets",
    allow=EVERYONE,
    status=201,
    answers=TicketView,
    errors=(404,),
    calls=Calls(dynamodb=1),
)
def create_socket_ticket(caller: Caller) -> Reply:
    """Get a ticket that opens one WebSocket connection within 30 seconds.

    On the connection, send `{"subscribe": "project#<id>"}`. News arrives as
    `{"topic": ..., "data": ...}`. It may be late or lost: only the status route is reliable.
    """
    if not settings.socket_endpoint:
        raise NotFound("This stage has no WebSocket; poll the status route instead")
    ticket, transaction = connections.issue(caller)
    view = TicketView(
        ticket=ticket,
        url=connections.address(ticket),
        expires_in_seconds=connections.TICKET_SECONDS,
    )
    return Reply(view, message="Ticket created", commit=transaction)
