"""Around every request: one log line, metrics, X-Request-Id, Server-Timing and CORS headers.

Answers that Chalice itself gives, such as 405 for an unknown method, become problems. Query
strings are never logged, since they hold addresses and tokens.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

from chalice.app import Chalice, CloudWatchEvent, Response, SQSEvent
from chalice.app import Request as ChaliceRequest

from chalicelib.kernel import telemetry
from chalicelib.kernel.errors import AppError, BadRequest, MethodNotAllowed, UnsupportedMediaType
from chalicelib.kernel.http import cors, dispatch, mounting
from chalicelib.kernel.http.problems import problem
from chalicelib.kernel.settings import log_problems, settings
from chalicelib.kernel.telemetry import Meter

SLOW_REQUEST_MS = 500
SLOW_CALL_MS = 100
MANY_CALLS = 20
_LONGEST_TENANT = 64  #: characters of a header that are logged
_PROBLEMS: dict[int, type[AppError]] = {
    error.STATUS: error for error in (BadRequest, MethodNotAllowed, UnsupportedMediaType)
}


def install(app: Chalice) -> None:
    """Wraps every HTTP request of the app, and logs settings that could not be read."""
    log_problems(settings)

    @app.middleware("http")
    def observe(
        raw: ChaliceRequest, get_response: Callable[[ChaliceRequest], Response]
    ) -> Response:
        with telemetry.measured() as meter:
            request_id = dispatch.request_id_of(raw)
            response = _as_problem(get_response(raw), request_id)
            response.headers |= cors.headers_for(raw.headers)
            response.headers["X-Request-Id"] = request_id
            response.headers["Server-Timing"] = server_timing(meter)
            _record(raw, request_id, response.status_code, meter)
            return response


def remaining_seconds(event: SQSEvent | CloudWatchEvent) -> float:
    """How long this invocation may still run, by Lambda's own count."""
    return float(cast("Any", event.context).get_remaining_time_in_millis()) / 1000


def server_timing(meter: Meter) -> str:
    """The request's times and calls, as https://www.w3.org/TR/server-timing/ wants them."""
    return (
        f"app;dur={meter.elapsed_ms():.1f}, "
        f'aws;dur={meter.aws_ms:.1f};desc="{len(meter.calls)} calls", '
        f'conf;desc="{meter.conf_calls} calls"'
    )


def _as_problem(response: Response, request_id: str) -> Response:
    """An answer that Chalice gave itself as a problem; every other answer as it is."""
    if "Content-Type" in response.headers or response.status_code < HTTPStatus.BAD_REQUEST:
        return response
    error = _PROBLEMS.get(response.status_code, AppError)()
    answer = problem(error, request_id)
    answer.headers.update(response.headers)
    return answer


def _record(raw: ChaliceRequest, request_id: str, status: int, meter: Meter) -> None:
    claims = raw.context.get("authorizer") or {}
    warnings = _warnings(raw, meter)
    write = telemetry.log.warning if warnings else telemetry.log.info
    write(
        "request",
        warnings=warnings,
        method=raw.method,
        route=raw.path,
        status=status,
        ms=round(meter.elapsed_ms(), 1),
        aws_calls=len(meter.calls),
        aws_ms=round(meter.aws_ms, 1),
        conf_calls=meter.conf_calls,
        tenant=_tenant_meant(raw, claims),
        sub=claims.get("sub", ""),
        request_id=request_id,
    )
    telemetry.emit(
        {
            "requests": 1,
            "request_ms": meter.elapsed_ms(),
            "aws_calls": len(meter.calls),
            "server_errors": int(status >= HTTPStatus.INTERNAL_SERVER_ERROR),
            **{f"request_{warning.replace('-', '_')}": 1 for warning in warnings},
        },
        route=f"{raw.method} {raw.path}",
    )


def _tenant_meant(raw: ChaliceRequest, claims: Mapping[str, str]) -> str:
    """The tenant that the request is about, for which an admin names one in a header."""
    if claims.get("role") == "admin":
        return str(raw.headers.get("x-tenant-id", ""))[:_LONGEST_TENANT]
    return claims.get("tenant_id", "")


def _warnings(raw: ChaliceRequest, meter: Meter) -> list[str]:
    """Which limits the request's times and calls exceeded: fixed ones, and the route's own."""
    route = mounting.loaded(raw.method, raw.path)
    calls = len(meter.calls)
    exceeded = {
        "slow": meter.elapsed_ms() > SLOW_REQUEST_MS,
        "many-calls": calls > MANY_CALLS,
        "slow-call": meter.slowest_ms > SLOW_CALL_MS,
        "over-declared-calls": route is not None and route.in_openapi and calls > route.calls.total,
    }
    return [warning for warning, is_exceeded in exceeded.items() if is_exceeded]
