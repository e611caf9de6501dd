"""The time limit of a whole answer holds however its bytes come."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from chalicelib.kernel.outbound import web
from chalicelib.kernel.outbound.web import Limits, NoAnswer, Session
from tests.functional.services import answering, serving
from tests.functional.web.sessions import allow_this_machine, session_of

LIMIT_SECONDS = 1.0
HEAD = b"HTTP/1.1 200 OK\r\n"
Drip = Callable[[], Iterator[bytes]]


@pytest.fixture(autouse=True)
def _limited(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_this_machine(monkeypatch)
    monkeypatch.setattr(web, "WHOLE_ANSWER_SECONDS", LIMIT_SECONDS)


def forever(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


def headers() -> Iterator[bytes]:
    yield HEAD
    yield from forever(b"X: y\r\n")


def status_line() -> Iterator[bytes]:
    yield from (bytes([letter]) for letter in HEAD * 1000)


def body_with_length() -> Iterator[bytes]:
    yield HEAD + b"Content-Length: 4000000\r\n\r\n"
    yield from forever(b"x")


def body_without_length() -> Iterator[bytes]:
    yield HEAD + b"\r\n"
    yield from forever(b"x")


def one_large_chunk() -> Iterator[bytes]:
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFF\r\n"
    yield from forever(b"x")


def small_chunks() -> Iterator[bytes]:
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    yield from forever(b"1\r\nx\r\n")


def endless_hundreds() -> Iterator[bytes]:
    yield from forever(b"HTTP/1.1 100 Continue\r\n\r\n")


def nothing_of_tls() -> Iterator[bytes]:
    yield b"\x16\x03\x03\x40\x00"  # a record of 16 KB, whose bytes then drip
    yield from forever(b"\0")


@contextlib.contextmanager
def dripping(drip: Drip) -> Iterator[int]:
    """A service that sends its answer piece by piece, as long as anybody listens; its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=send, args=(connection,), daemon=True).start()

    def send(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            for piece in drip():
                connection.sendall(piece)
                if ended.wait(0.05):
                    return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        ended.set()
        listening.close()


def assert_given_up(address: str) -> None:
    started = time.monotonic()
    with (
        Session(address, Limits(read_seconds=1, tries=3)) as session,
        pytest.raises(NoAnswer) as no,
    ):
        session.send("GET", "/x")
    assert str(no.value) == "its answer takes too long"
    assert LIMIT_SECONDS <= time.monotonic() - started < LIMIT_SECONDS + 0.5


@pytest.mark.parametrize(
    "drip",
    [
        headers,
        status_line,
        body_with_length,
        body_without_length,
        one_large_chunk,
        small_chunks,
        endless_hundreds,
    ],
)
def test_an_answer_that_drips_is_given_up_at_the_limit(drip: Drip) -> None:
    with dripping(drip) as port:
        assert_given_up(f"http://127.0.0.1:{port}")


def test_a_handshake_that_drips_is_given_up_at_the_limit() -> None:
    with dripping(nothing_of_tls) as port:
        assert_given_up(f"https://127.0.0.1:{port}")


def test_a_kept_connection_has_a_new_limit_with_each_call() -> None:
    with serving(answering(200)) as server, session_of(server) as session:
        for _ in range(3):
            assert session.send("GET", "/x").status == 200
            time.sleep(LIMIT_SECONDS / 2)  # the limit is of an exchange, not of a connection
        assert len({each.client_address for each in server.requests}) == 1


def test_no_timer_is_left_behind() -> None:
    with serving(answering(200)) as server, session_of(server) as session:
        for _ in range(20):
            session.send("GET", "/x")
    timers = [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
    for timer in timers:
        timer.join(LIMIT_SECONDS / 2)
    assert [each for each in timers if each.is_alive()] == []
