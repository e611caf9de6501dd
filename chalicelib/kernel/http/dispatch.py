"""What is done around every view, so that no domain writes it again.

In this order: the caller and the tenant, the query and the body as structs with every error named,
the view, its answer as bytes, the commit, which stores the answer under its Idempotency-Key, and
the ETag. Errors become problem+json. The gateway's own answers are set at deployment.
"""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl, quote

import msgspec
from chalice.app import MultiDict, Response
from chalice.app import Request as ChaliceRequest

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.auth import identity, tenancy
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.errors import (
    AppError,
    BadRequest,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from chalicelib.kernel.http import etags, idempotency, validation
from chalicelib.kernel.http.problems import problem
from chalicelib.kernel.http.routes import Reply, Request, Route
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import failures
from chalicelib.kernel.store.preconditions import IfMatch

FORM = "application/x-www-form-urlencoded"
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}\Z")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_POSSIBLE_ID = re.compile(r"[!-~]{1,100}\Z")  # DynamoDB refuses keys that are much longer
_PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the page's address holds a token
    "X-Content-Type-Options": "nosniff",
}
Headers = dict[str, Any]


def respond(
    find: Callable[[], Route], raw: ChaliceRequest, captured: Mapping[str, str]
) -> Response:
    """The answer to a request; a problem for every error, also of finding the view."""
    request_id = request_id_of(raw)
    try:
        route = find()
        return _answer(route, request_of(raw, route), raw, captured)
    except Exception as error:  # noqa: BLE001  the client gets a problem for every error
        return problem(client_error(error, request_id), request_id)


def client_error(error: Exception, request_id: str) -> AppError:
    """The error that a client may see for any error; the log gets more of an unexpected one.

    To be called in the `except` block, since it logs the traceback.
    """
    if isinstance(error, AppError):
        return error
    if failures.is_transient(error):
        telemetry.log.warning("store unavailable", error=type(error).__name__)
        return Unavailable("The store cannot answer now; try again later")
    telemetry.log.exception("unexpected error", request_id=request_id)
    return AppError()


def request_of(raw: ChaliceRequest, route: Route) -> Request:
    """Chalice's request in our form.

    Raises TooLarge, Invalid for a query parameter that was sent twice, and PreconditionFailed for a
    change whose If-Match names no version.
    """
    body = raw.raw_body if isinstance(raw.raw_body, bytes) else raw.raw_body.encode()
    if len(body) > route.max_body_bytes:
        raise TooLarge(f"Send at most {route.max_body_bytes // 1024} KB")
    return Request(
        id=request_id_of(raw),
        path=str(raw.context.get("path", raw.path)).removeprefix(_prefix(raw)),
        query=_query_of(raw, route),
        headers=raw.headers,
        body=body,
        base_url=_base_url(raw),
        if_match=_if_match(raw) if route.takes_if_match else None,
    )


def _if_match(raw: ChaliceRequest) -> IfMatch:
    return etags.if_match_versions(raw.headers.get("if-match"))


def _query_of(raw: ChaliceRequest, route: Route) -> dict[str, str]:
    sent = raw.query_params or MultiDict({})
    if "query" in route.parameters:
        repeated = [name for name in sent if len(sent.getlist(name)) > 1]
        if repeated:
            field_errors = tuple(FieldError(name, "was sent more than once") for name in repeated)
            raise Invalid("Send each query parameter only once", field_errors=field_errors)
    return dict(sent)


def request_id_of(raw: ChaliceRequest) -> str:
    """The client's own id when it is well-formed, else the gateway's. Every call gives the same."""
    sent = raw.headers.get("x-request-id", "")
    if _WELL_FORMED_ID.match(sent):
        return str(sent)
    return str(raw.context.setdefault("requestId", clock.new_id()))


def _prefix(raw: ChaliceRequest) -> str:
    """The part of the address before the route: a stage or base path such as `/api`."""
    parts = str(raw.context.get("path", raw.path)).rstrip("/").split("/")
    depth = str(raw.path).rstrip("/").count("/")
    return "/".join(parts[: len(parts) - depth])


def _base_url(raw: ChaliceRequest) -> str:
    if settings.public_url:
        return settings.public_url.rstrip("/")
    # A proxy before another one makes it a list, the outermost first.
    scheme = raw.headers.get("x-forwarded-proto", "http").partition(",")[0].strip().lower()
    host = raw.headers.get("host", "localhost")
    if scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise BadRequest("The headers Host and X-Forwarded-Proto do not make an address")
    return f"{scheme}://{host}{_prefix(raw)}"


def _answer(
    route: Route, request: Request, raw: ChaliceRequest, captured: Mapping[str, str]
) -> Response:
    caller = _admit(route, request, raw) if route.allow else None
    key = idempotency.key_of(request, route.method, caller) if route.changes else None
    arguments = _arguments(route, request, caller, captured)
    try:
        reply = route.view(**{name: arguments[name] for name in route.parameters})
    except AppError as error:
        return _earlier_answer(key, error)
    response = _render(route, reply, request)
    if reply.commit is None:
        return _or_not_modified(response, request)
    try:
        if key is not None:
            idempotency.store(reply.commit, key, response)
        reply.commit.commit()
    except idempotency.Repeated as repeated:
        if key is None:
            raise
        return idempotency.replay(repeated, key)
    return response


def _earlier_answer(key: idempotency.Key | None, error: AppError) -> Response:
    """The stored answer to a request that was carried out before and is refused now.

    Raises `error` when there is none.
    """
    is_refusal = error.STATUS < HTTPStatus.INTERNAL_SERVER_ERROR
    repeated = idempotency.find_earlier(key) if key is not None and is_refusal else None
    if key is None or repeated is None:
        raise error
    return idempotency.replay(repeated, key)


def _arguments(
    route: Route, request: Request, caller: Caller | None, captured: Mapping[str, str]
) -> dict[str, Any]:
    if not all(_POSSIBLE_ID.match(value) for value in captured.values()):
        raise NotFound
    arguments: dict[str, Any] = {**captured, "caller": caller, "request": request}
    if "query" in route.parameters:
        query = validation.convert_query(dict(request.query), route.parameters["query"])
        arguments["query"] = query
    if "body" in route.parameters:
        arguments["body"] = _body(route, request)
    return arguments


def _admit(route: Route, request: Request, raw: ChaliceRequest) -> Caller:
    """The caller, with the tenant of this request.

    Raises Unauthorized without a valid token, Forbidden for a login that is bound to no user or a
    role that the route does not allow, and what `tenancy.admit` raises.
    """
    claims = raw.context.get("authorizer") or {}
    if not claims.get("role") or _is_over(claims.get("exp")):
        raise Unauthorized
    caller = _caller_of(claims)
    if claims.get("is_admitted") == "false":
        with telemetry.configuration():
            caller = identity.admit_again(caller)
    if caller.role not in route.allow:
        raise Forbidden(f"Use a token with one of these roles: {', '.join(route.allow)}")
    if route.platform:
        return msgspec.structs.replace(caller, tenant_id="")
    return tenancy.admit(caller, request.headers.get("x-tenant-id"))


def _caller_of(claims: Mapping[str, str]) -> Caller:
    return Caller(
        subject=claims["sub"],
        role=cast("Role", claims["role"]),
        tenant_id=claims["tenant_id"],
        email=claims.get("email", ""),
        home=claims["tenant_id"],
        # missing in answers of an earlier release, which the gateway keeps for a while
        user_id=claims.get("user_id", ""),
        claimed_id=claims.get("claimed_id", ""),
    )


def _is_over(expires_at: str | None) -> bool:
    """True after the token's end: the gateway repeats the authorizer's answer for minutes."""
    if expires_at is None:
        return False
    return int(expires_at) + settings.token_leeway_seconds <= clock.epoch_seconds()


def _body(route: Route, request: Request) -> Any:
    """The body as the struct that the view takes, or unchanged where it takes bytes."""
    if request.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise UnsupportedMediaType("Send the body without a Content-Encoding")
    sent = request.headers.get("content-type", route.media[0]).partition(";")[0].strip().lower()
    if sent not in route.media:
        raise UnsupportedMediaType(f"Send a body of type {' or '.join(route.media)}")
    shape = route.parameters["body"]
    if shape is bytes:
        return request.body
    if sent == FORM:
        fields = dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
        return validation.convert_query(fields, shape)
    return validation.decode_body(request.body, shape)


def _render(route: Route, reply: Reply, request: Request) -> Response:
    status = reply.status or route.status
    if reply.html is not None:
        return Response(reply.html, {**_PAGE_HEADERS, **reply.headers}, status)
    if reply.json is not None:
        tag: Headers = {"ETag": etags.of_content(reply.json), "Content-Type": "application/json"}
        return Response(reply.json.decode(), tag, status)
    content: dict[str, Any] = {"success": True}
    if reply.message:
        content["message"] = reply.message
    content |= {"data": reply.data, **reply.extra}
    headers: Headers = {"Content-Type": "application/json", **reply.headers}
    if reply.meta is not None:
        content["meta"] = reply.meta
        if reply.meta.get("next_cursor"):
            headers["Link"] = f'<{_next_link(request, reply.meta["next_cursor"])}>; rel="next"'
    body = msgspec.json.encode(content)
    if reply.version is not None:
        headers["ETag"] = etags.of_version(reply.version)
    elif not route.changes and not route.paginated:
        headers["ETag"] = etags.of_content(body)
    return Response(body.decode(), headers, status)


def _or_not_modified(response: Response, request: Request) -> Response:
    """The response, or 304 without a body when the client already has this version."""
    etag = response.headers.get("ETag")
    if isinstance(etag, str) and etags.matches(request.headers.get("if-none-match"), etag):
        names = ("ETag", "Cache-Control", "Retry-After")
        kept: Headers = {name: response.headers[name] for name in names if name in response.headers}
        return Response("", kept | {"Content-Type": "application/json"}, 304)
    return response


def _next_link(request: Request, cursor: str) -> str:
    query = {**request.query, "cursor": cursor}
    return f"{request.base_url}{request.path}?" + "&".join(
        f"{quote(name)}={quote(value, safe='')}" for name, value in query.items()
    )
