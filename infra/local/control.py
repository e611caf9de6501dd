"""The `/_local` routes: tokens, sent messages, the clock, faults, the state.

    POST   /_local/token    {role, tenant_id, sub, ...more claims, expires_in_seconds?}
    GET    /_local/outbox   ?tenant_id= &channel= &to=   the mailbox: what SES and SNS accepted,
                            oldest first; &after=N leaves out the first N
    GET    /_local/         the mailbox as a page
    POST   /_local/clock    {advance_seconds}   moves the clock; every due schedule runs once
    POST   /_local/faults   {service, operation, kind, times, seconds?}   DELETE removes all;
                            {service: dynamodb, kind: conflicts} lasts until then
    GET    /_local/state    {idle, queues: {name: {waiting, in_flight, dead}},
                            executions: {running, succeeded, failed}}
    POST   /_local/sockets/@connections/<id>   sends a message to a WebSocket, for the app
    GET    /_local/jwks.json   the issuer's keys, which the API reads

The answer to any invalid body is 422.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from infra.local import clock, conflicts, faults, gateway, mailbox
from infra.local.cloud_state import State
from infra.local.gateway import Answer
from infra.local.issuer import LIFETIME_SECONDS, Issuer

_PAGE = Path(__file__).with_name("pages") / "mailbox.html"
_CONNECTIONS = "/_local/sockets/@connections/"
_ROLES = ("admin", "manager", "staff", "customer")
_LONGEST_JUMP_SECONDS = 10 * 366 * 86_400  # Python has no date after the year 9999
Body: TypeAlias = dict[str, Any]
Query: TypeAlias = dict[str, str]
Route: TypeAlias = Callable[[Body, Query], Answer]


class BadControl(ValueError):
    """The body of a request is invalid."""


class Control:
    """Answers the `/_local` routes of one local cloud."""

    def __init__(
        self,
        issuer: Issuer,
        state: Callable[[], State],
        advance: Callable[[float], int],
        sockets: Callable[[str, str, bytes], Answer] | None = None,
    ) -> None:
        self._issuer = issuer
        self._sockets = sockets
        self._state = state
        self._advance = advance
        self._routes: dict[str, dict[str, Route]] = {
            "": {"GET": self._page},
            "/token": {"POST": self._token},
            "/jwks.json": {"GET": self._jwks},
            "/outbox": {"GET": self._mailbox},
            "/clock": {"POST": self._move_clock, "GET": self._clock},
            "/faults": {
                "POST": self._add_fault,
                "GET": self._faults,
                "DELETE": self._clear_faults,
            },
            "/state": {"GET": self._show_state},
        }

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Answers a request, with a header that forbids caching."""
        status, headers, content = self._answer(method, urlsplit(path), body)
        return status, {**headers, "Cache-Control": "no-store"}, content

    def _answer(self, method: str, parts: Any, body: bytes) -> Answer:
        if self._sockets and parts.path.startswith(_CONNECTIONS):
            return self._sockets(method, parts.path, body)
        routes = self._routes.get(parts.path.removeprefix("/_local").rstrip("/"))
        if routes is None:
            return gateway.problem(404, "There is no such route; the page at /_local/ lists them")
        route = routes.get("GET" if method == "HEAD" else method)
        if route is None:
            status, headers, content = gateway.problem(
                405, "The route does not support this method"
            )
            return status, {**headers, "Allow": ", ".join(routes)}, content
        try:
            return route(_read(body), dict(parse_qsl(parts.query)))
        except (ValueError, TypeError) as error:  # BadControl, an invalid fault, a wrong claim
            return gateway.problem(422, str(error))

    def _page(self, _: Body, __: Query) -> Answer:
        return 200, {"Content-Type": "text/html; charset=utf-8"}, _PAGE.read_bytes()

    def _token(self, body: Body, _: Query) -> Answer:
        role = body.pop("role", "manager")
        if role not in _ROLES:
            raise BadControl(f"role must be one of {', '.join(_ROLES)}")
        lifetime_seconds = int(_number(body.pop("expires_in_seconds", LIFETIME_SECONDS)))
        claims = {"sub": f"local-{role}", "role": role, "email_verified": "email" in body, **body}
        token = self._issuer.token(claims, lifetime_seconds)
        return gateway.json_answer(
            {
                "token": token,
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": lifetime_seconds,
            }
        )

    def _jwks(self, _: Body, __: Query) -> Answer:
        return gateway.json_answer(self._issuer.jwks())

    def _mailbox(self, _: Body, query: Query) -> Answer:
        filters: Any = {name: query.get(name) for name in ("tenant_id", "channel", "to")}
        after = query.get("after", "0")
        if not after.isdecimal():
            raise BadControl("after must be a number")
        messages = mailbox.sent(**filters)[int(after) :]
        return gateway.json_answer([asdict(message) for message in messages])

    def _move_clock(self, body: Body, _: Query) -> Answer:
        seconds = _number(body.get("advance_seconds"))
        if not 0 <= seconds <= _LONGEST_JUMP_SECONDS:
            raise BadControl("advance_seconds must be a number from 0 to ten years")
        fired = self._advance(seconds)
        gateway.log.info("clock %+g s", seconds, extra={"schedules_fired": fired})
        return gateway.json_answer({"now": clock.now().isoformat(), "schedules_fired": fired})

    def _clock(self, _: Body, __: Query) -> Answer:
        return gateway.json_answer({"now": clock.now().isoformat()})

    def _add_fault(self, body: Body, _: Query) -> Answer:
        known = {field.name for field in fields(faults.Fault)}
        if unknown := body.keys() - known:
            raise BadControl(
                f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        if "service" not in body:
            raise BadControl("service is required")
        values = {
            name: value for name, value in body.items() if value is not None or name == "times"
        }
        faults.add(faults.Fault(**values))
        gateway.log.info("fault added", extra=values)
        return self._faults({}, {})

    def _faults(self, _: Body, __: Query) -> Answer:
        return gateway.json_answer(
            {
                "active": [asdict(fault) for fault in faults.active()],
                "counts": faults.counts(),
                "conflicts": conflicts.refused(),
            }
        )

    def _clear_faults(self, _: Body, __: Query) -> Answer:
        faults.clear()
        gateway.log.info("faults cleared")
        return self._faults({}, {})

    def _show_state(self, _: Body, __: Query) -> Answer:
        return gateway.json_answer(self._state())


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise BadControl(f"{value!r} is not a number of seconds")


def _read(body: bytes) -> Body:
    if not body.strip():
        return {}
    try:
        content = json.loads(body)
    except ValueError as error:
        raise BadControl(f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadControl("the body must be a JSON object")
    return content
