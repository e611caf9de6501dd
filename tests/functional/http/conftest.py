"""What the tests of HTTP and of WebSockets share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from websockets.sync.client import connect

from infra.local.cloud import LocalCloud
from tests.functional.http.lines import Line, Open, ticket_of


@pytest.fixture
def line(cloud: LocalCloud) -> Iterator[Open]:
    with ExitStack() as lines:
        yield lambda caller: Line(lines.enter_context(connect(ticket_of(caller)["url"])))
    cloud.sockets.close_all()
