"""Calls of outside services: limits, the one layer of repeats, redaction."""

import json
import logging
import time
from http.server import BaseHTTPRequestHandler

import pytest

from chalicelib.kernel.outbound import web
from chalicelib.kernel.outbound.web import NoAnswer, Session, Throttled, Unreadable
from tests.functional.services import Script, answering, hanging_up, in_turn, serving, silent
from tests.functional.web_sessions import allow_this_machine, session_of

SECRET = "s3cret-of-ours"


@pytest.fixture(autouse=True)
def _local(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_this_machine(monkeypatch)


def test_a_call_is_made_once_and_its_answer_given_back() -> None:
    seen: list[str] = []
    with (
        serving(answering(201, b'{"id": 7}')) as server,
        session_of(server, watch=seen.append) as it,
    ):
        answer = it.send("POST", "/things", body={"name": "x"}, headers={"X-Auth-Token": "t"})

        assert (answer.status, answer.json()) == (201, {"id": 7})
        assert seen == ["POST /things"]
        assert (it.tries, server.requests[0].path) == (1, "/v3/things")


def test_connections_are_kept() -> None:
    with serving(answering(200)) as server, session_of(server) as session:
        for _ in range(5):
            session.send("GET", "/x")

        assert len({each.client_address for each in server.requests}) == 1


@pytest.mark.parametrize("failing", [answering(503), answering(502), hanging_up])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_may_be_repeated_is_repeated_once(failing: Script, method: str) -> None:
    with serving(in_turn(failing, answering(200))) as server, session_of(server) as session:
        assert session.send(method, "/x").status == 200
        assert session.tries == 2


@pytest.mark.parametrize("failing", [answering(503), hanging_up])
def test_what_may_not_be_repeated_is_made_once(failing: Script) -> None:
    with serving(failing) as server, session_of(server) as session:
        with pytest.raises(NoAnswer):
            session.send("POST", "/x", body={})
        assert session.tries == 1


def test_repeats_come_to_an_end() -> None:
    with serving(answering(504)) as server, session_of(server) as session:
        with pytest.raises(NoAnswer, match="504"):
            session.send("GET", "/x")
        assert session.tries == len(server.requests) == 2


def test_a_silent_service_costs_its_limit_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(silent) as server, session_of(server) as session:
        started = time.monotonic()
        with pytest.raises(NoAnswer, match="in time"):
            session.send("POST", "/x")
        assert 0.9 < time.monotonic() - started < 3


def test_an_answer_that_comes_drop_by_drop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "WHOLE_ANSWER_SECONDS", 0.3)

    def dripping(request: BaseHTTPRequestHandler, _number: int) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        while not request.server.released.wait(0.05):  # type: ignore[attr-defined]
            request.wfile.write(b"1\r\nx\r\n")
            request.wfile.flush()

    with (
        serving(dripping) as server,
        session_of(server) as session,
        pytest.raises(NoAnswer, match="too long"),
    ):
        session.send("POST", "/x")


def test_an_answer_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAX_BYTES", 1000)
    with (
        serving(answering(200, b"x" * 2000)) as server,
        session_of(server) as session,
        pytest.raises(Unreadable, match="too large"),
    ):
        session.send("GET", "/x")


def test_what_is_not_json_is_said_to_be() -> None:
    with (
        serving(answering(200, b"<html>")) as server,
        session_of(server) as session,
        pytest.raises(Unreadable, match="not JSON"),
    ):
        session.send("GET", "/x").json()


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    elsewhere = answering(302, Location="http://169.254.169.254/latest/meta-data/")
    with serving(elsewhere) as server, session_of(server) as session:
        assert session.send("GET", "/x").status == 302
        assert len(server.requests) == 1


def test_a_short_wait_that_is_asked_for_is_kept() -> None:
    limited = answering(429, Retry_After="1")
    with serving(in_turn(limited, answering(200))) as server, session_of(server) as session:
        started = time.monotonic()
        assert session.send("POST", "/x").status == 200
        assert time.monotonic() - started >= 1


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("30", 30), ("99999999", 3600), ("soon", 5), ("", 5), ("-1", 5), ("9" * 50, 5)],
)
def test_a_long_wait_is_handed_on(asked: str, seconds: int) -> None:
    with serving(answering(429, Retry_After=asked)) as server, session_of(server) as session:
        with pytest.raises(Throttled) as limit:
            session.send("GET", "/x")
        assert (limit.value.after_seconds, session.tries) == (seconds, 1)


def test_an_outage_that_is_final_here_is_an_answer() -> None:
    with serving(answering(503)) as server, session_of(server) as session:
        assert session.send("GET", "/x", final=(503,)).status == 503
        assert session.tries == 1


def test_nothing_that_is_raised_or_logged_holds_a_secret(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(hanging_up) as server, session_of(server) as session:
        session.hide(SECRET)
        with pytest.raises(NoAnswer) as raised:
            session.send(
                "POST",
                "/auth/tokens",
                query={"name": SECRET},
                body={"password": SECRET},
                headers={"X-Auth-Token": SECRET, "Authorization": f"Bearer {SECRET}"},
            )
    told = f"{raised.value!r} {raised.value.__cause__!r} {capsys.readouterr()} "
    told += " ".join(each for each in caplog.messages if "/auth/tokens HTTP" not in each)
    assert SECRET not in told
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    "said",
    [
        f"wrong password {SECRET}",
        'password: "hunter22"',
        "password=hunter22&x=1",
        '{"secret": "hunter22"}',
        "X-Auth-Token: hunter22",
        "Authorization: Bearer hunter22",
        "x-subject-token=hunter22",
        "'client_secret': 'hunter22'",
    ],
)
def test_a_services_words_are_cleaned(said: str) -> None:
    session = Session("http://127.0.0.1:1")
    session.hide(SECRET)

    cleaned = session.cleaned(said + "\r\nforged line\x00" + "x" * 1000)

    assert SECRET not in cleaned
    assert "hunter22" not in cleaned
    assert cleaned.isprintable()
    assert len(cleaned) <= 300


def test_ordinary_words_stay_as_they_are() -> None:
    said = "Could not find user: 7f3a. Invalid EC2 signature in domain Default"

    assert Session("http://127.0.0.1:1").cleaned(said) == said


def test_json_bodies_are_sent_as_json() -> None:
    def echo(request: BaseHTTPRequestHandler, number: int) -> None:
        kind = request.headers["Content-Type"]
        answering(200, json.dumps({"kind": kind}).encode())(request, number)

    with serving(echo) as server, session_of(server) as session:
        assert session.send("POST", "/x", body={}).json() == {"kind": "application/json"}
