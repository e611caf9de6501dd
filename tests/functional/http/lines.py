"""WebSockets as a test holds them, and the tickets that open them."""

import json
from collections.abc import Callable
from typing import Any

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.functional import aws
from tests.functional.client import Caller

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
