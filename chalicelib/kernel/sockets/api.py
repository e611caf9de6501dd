"""Tickets for WebSockets."""

import msgspec

from chalicelib.kernel.auth.tenancy import EVERYONE, Caller
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.http.routes import Calls, Reply, Routes
from chalicelib.kernel.settings import settings

routes = Routes()


class TicketView(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket for one WebSocket connection."""

    ticket: str
    url: str  #: to open the connection at, ticket included
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

    On the connection, send `{"subscribe": "project#<id>"}`; what is pushed comes as
    `{"topic": ..., "data": ...}`. A push may be late or lost: the status route is what counts.
    """
    if not settings.socket_endpoint:
        raise NotFound("Nothing is pushed here; poll instead")
    from chalicelib.kernel.sockets import connections  # which few requests need

    ticket, transaction = connections.issue(caller)
    view = TicketView(
        ticket=ticket,
        url=connections.address(ticket),
        expires_in_seconds=connections.TICKET_SECONDS,
    )
    return Reply(view, message="Ticket created", commit=transaction)
