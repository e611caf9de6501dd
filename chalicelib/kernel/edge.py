"""The outermost layer of HTTP: one log line per request, X-Request-Id, Server-Timing.

Also turns what Chalice itself answers (an unknown method on a known path) into a problem.
Query strings are never logged: they hold addresses and tokens.
"""

from collections.abc import Callable
from http import HTTPStatus

from chalice.app import Chalice, Response
from chalice.app import Request as ChaliceRequest

from chalicelib.kernel import cors, http, telemetry
from chalicelib.kernel.errors import AppError, MethodNotAllowed
from chalicelib.kernel.problems import problem
from chalicelib.kernel.telemetry import Meter

_PROBLEMS: dict[int, type[AppError]] = {405: MethodNotAllowed}


def install(app: Chalice) -> None:
    """Wraps every HTTP request of the app."""

    @app.middleware("http")
    def observe(
        raw: ChaliceRequest, get_response: Callable[[ChaliceRequest], Response]
    ) -> Response:
        with telemetry.measured() as meter:
            request_id = http.request_id_of(raw)
            response = _in_our_form(get_response(raw), request_id)
            response.headers |= cors.headers_for(raw.headers)
            response.headers["X-Request-Id"] = request_id
            response.headers["Server-Timing"] = server_timing(meter)
            _record(raw, request_id, response.status_code, meter)
            return response


def server_timing(meter: Meter) -> str:
    """The request's times and calls, by https://www.w3.org/TR/server-timing/."""
    return (
        f"app;dur={meter.elapsed_ms():.1f}, "
        f'aws;dur={meter.aws_ms:.1f};desc="{len(meter.calls)} calls", '
        f'conf;desc="{meter.conf_calls} calls"'
    )


def _in_our_form(response: Response, request_id: str) -> Response:
    if "Content-Type" in response.headers or response.status_code < HTTPStatus.BAD_REQUEST:
        return response
    error = _PROBLEMS.get(response.status_code, AppError)()
    answer = problem(error, request_id)
    answer.headers.update(response.headers)
    return answer


def _record(raw: ChaliceRequest, request_id: str, status: int, meter: Meter) -> None:
    claims = raw.context.get("authorizer") or {}
    telemetry.log.info(
        "request",
        method=raw.method,
        route=raw.path,
        status=status,
        ms=round(meter.elapsed_ms(), 1),
        aws_calls=len(meter.calls),
        aws_ms=round(meter.aws_ms, 1),
        conf_calls=meter.conf_calls,
        tenant=claims.get("tenant_id", ""),
        request_id=request_id,
    )
    telemetry.emit(
        {
            "requests": 1,
            "request_ms": meter.elapsed_ms(),
            "aws_calls": len(meter.calls),
            "server_errors": int(status >= HTTPStatus.INTERNAL_SERVER_ERROR),
        },
        route=f"{raw.method} {raw.path}",
    )
