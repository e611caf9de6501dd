"""Routes: what a domain declares, and everything around it that no domain writes again.

    routes = http.Routes()

    @routes.post("/admin/v1/users", allow=MANAGERS, status=201)
    def create_user(caller: Caller, body: NewUser) -> Reply: ...

A view's parameters say what it takes: `caller`, `body` and `query` (msgspec structs), `request`,
and the path's own names. It returns a Reply; one that holds a transaction is answered only after
the transaction was committed. Errors become problem+json (RFC 9457). Every answer carries
X-Request-Id and Server-Timing (W3C).
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, get_type_hints
from urllib.parse import quote

import msgspec
from chalice.app import Chalice, Response
from chalice.app import Request as ChaliceRequest

from chalicelib.kernel import clock, store, telemetry, tenancy, validation
from chalicelib.kernel.errors import (
    AppError,
    Forbidden,
    Invalid,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from chalicelib.kernel.settings import settings
from chalicelib.kernel.tenancy import Caller, Role

MAX_BODY_BYTES = 64 * 1024
Headers = dict[str, str | list[str]]
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}\Z")


class Commit(Protocol):
    """Work that must be saved before the answer is sent, such as an `outbox.Transaction`."""

    def commit(self) -> None: ...


@dataclass(frozen=True)
class Request:
    """One HTTP request, as far as a view may need it."""

    id: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    base_url: str  #: address that links start with, without a slash at its end


@dataclass(frozen=True)
class Reply:
    """What a view answers."""

    data: Any = None
    message: str = ""
    status: int = 0  #: 0: the route's own
    meta: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    top: Mapping[str, Any] = field(default_factory=dict)  #: further members beside `data`
    commit: Commit | None = None


@dataclass(frozen=True)
class Route:
    """A declared route and its view."""

    method: str
    path: str
    view: Callable[..., Reply]
    allow: tuple[Role, ...]
    status: int
    parameters: Mapping[str, Any]  #: the view's parameters and their types
    tenant_free: bool = False  #: True on the platform's own routes, which name no tenant
    max_body_bytes: int = MAX_BODY_BYTES


class Routes:
    """Routes of one domain, in the order of declaration."""

    def __init__(self) -> None:
        self.declared: list[Route] = []

    def get(self, path: str, **options: Any) -> Callable[[Callable[..., Reply]], Any]:
        return self._declare("GET", path, options)

    def post(self, path: str, **options: Any) -> Callable[[Callable[..., Reply]], Any]:
        return self._declare("POST", path, options)

    def _declare(
        self, method: str, path: str, options: dict[str, Any]
    ) -> Callable[[Callable[..., Reply]], Any]:
        def register(view: Callable[..., Reply]) -> Callable[..., Reply]:
            hints = get_type_hints(view, include_extras=True)
            parameters = {name: hints[name] for name in inspect.signature(view).parameters}
            given = {"status": 200, **options, "parameters": parameters}
            self.declared.append(Route(method, path, view, **given))
            return view

        return register


def mount(app: Chalice, routes: Routes, authorizer: Any) -> None:
    """Adds a domain's routes to the Chalice app."""
    for route in routes.declared:
        app.route(
            route.path,
            methods=[route.method],
            name=route.view.__name__,
            authorizer=authorizer if route.allow else None,
            content_types=["*/*"],  # checked here, so that a 415 is a problem like the others
        )(_handler(app, route))


def _handler(app: Chalice, route: Route) -> Callable[..., Response]:
    def handle(**captured: str) -> Response:
        raw = app.current_request
        if raw is None:
            raise RuntimeError("Chalice calls a view only with a request")
        request = request_of(raw)
        try:
            return _render(route, _answer(route, request, raw, captured), request)
        except AppError as error:
            return problem(error, request.id)
        except Exception as error:  # noqa: BLE001  the edge: whatever it was, the client gets a problem
            if store.is_transient(error):
                telemetry.log.warning("store unavailable", error=type(error).__name__)
                return problem(Unavailable("The store cannot answer now"), request.id)
            telemetry.log.exception("unexpected error", request_id=request.id)
            return problem(AppError(), request.id)

    return handle


def request_of(raw: ChaliceRequest) -> Request:
    """Chalice's request in our form."""
    body = raw.raw_body
    return Request(
        id=_request_id(raw),
        path=str(raw.context.get("path", raw.path)).removeprefix(_prefix(raw)),
        query=dict(raw.query_params or {}),
        headers=raw.headers,
        body=body if isinstance(body, bytes) else body.encode(),
        base_url=_base_url(raw),
    )


def _request_id(raw: ChaliceRequest) -> str:
    """The client's own when well-formed, else the gateway's; the same however often it is asked."""
    sent = raw.headers.get("x-request-id", "")
    if _WELL_FORMED_ID.match(sent):
        return str(sent)
    return str(raw.context.setdefault("requestId", clock.new_id()))


def _prefix(raw: ChaliceRequest) -> str:
    """What stands before the route in the address: a stage or base path such as `/api`."""
    parts = str(raw.context.get("path", raw.path)).rstrip("/").split("/")
    depth = str(raw.path).rstrip("/").count("/")
    return "/".join(parts[: len(parts) - depth])


def _base_url(raw: ChaliceRequest) -> str:
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme = raw.headers.get("x-forwarded-proto", "http")
    return f"{scheme}://{raw.headers.get('host', 'localhost')}{_prefix(raw)}"


def _answer(
    route: Route, request: Request, raw: ChaliceRequest, captured: Mapping[str, str]
) -> Reply:
    given: dict[str, Any] = dict(captured)
    if route.allow:
        given["caller"] = _admit(route, request, raw)
    if "query" in route.parameters:
        given["query"] = validation.convert_query(dict(request.query), route.parameters["query"])
    if "body" in route.parameters:
        given["body"] = _body(route, request)
    if "request" in route.parameters:
        given["request"] = request
    reply = route.view(**{name: given[name] for name in route.parameters})
    if reply.commit is not None:
        reply.commit.commit()
    return reply


def _admit(route: Route, request: Request, raw: ChaliceRequest) -> Caller:
    """The caller, whose role the route allows, with the tenant that is meant."""
    claims = raw.context.get("authorizer") or {}
    if not claims.get("role"):
        raise Unauthorized
    caller = Caller(claims["sub"], claims["role"], claims["tenant_id"], claims.get("email", ""))
    if caller.role not in route.allow:
        raise Forbidden(f"This needs one of the roles: {', '.join(route.allow)}")
    if route.tenant_free:
        return caller
    return tenancy.admitted(caller, request.headers.get("x-tenant-id"))


def _body(route: Route, request: Request) -> Any:
    if len(request.body) > route.max_body_bytes:
        raise TooLarge(f"At most {route.max_body_bytes // 1024} KB")
    sent = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if sent.lower() != "application/json":
        raise UnsupportedMediaType("Send application/json")
    return validation.decode_body(request.body, route.parameters["body"])


def _render(route: Route, reply: Reply, request: Request) -> Response:
    content: dict[str, Any] = {"success": True}
    if reply.message:
        content["message"] = reply.message
    content |= {"data": reply.data, **reply.top}
    headers: Headers = {"Content-Type": "application/json", **reply.headers}
    if reply.meta is not None:
        content["meta"] = reply.meta
        if reply.meta.get("next_cursor"):
            headers["Link"] = f'<{_next_link(request, reply.meta["next_cursor"])}>; rel="next"'
    return Response(msgspec.json.encode(content).decode(), headers, reply.status or route.status)


def _next_link(request: Request, cursor: str) -> str:
    query = {**request.query, "cursor": cursor}
    return f"{request.base_url}{request.path}?" + "&".join(
        f"{quote(name)}={quote(value, safe='')}" for name, value in query.items()
    )


def problem(error: AppError, request_id: str) -> Response:
    """An error as `application/problem+json` (RFC 9457)."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.STATUS,
        "detail": error.detail,
        "request_id": request_id,
    }
    if isinstance(error, Invalid):
        content["errors"] = [{"field": name, "detail": detail} for name, detail in error.faults]
    headers: Headers = {"Content-Type": "application/problem+json", **error.headers}
    return Response(msgspec.json.encode(content).decode(), headers, error.STATUS)
