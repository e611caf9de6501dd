"""Cross-origin calls from the origins named in settings (https://fetch.spec.whatwg.org).

API Gateway answers a preflight for one origin only, and here several may be allowed. So the app
answers OPTIONS on every path, and browsers remember the answer.
"""

from collections.abc import Mapping

from chalicelib.kernel.settings import settings

EXPOSED_HEADERS = (
    "ETag, Link, Retry-After, Location, Idempotent-Replayed, X-Request-Id, Server-Timing"
)
ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id, "
    "X-Tenant-Id"
)
_MAX_AGE_SECONDS = 7200  #: the longest that Chromium remembers


def allowed_origin(origin: str | None) -> str | None:
    """The origin if it may call, else None."""
    allowed = settings.listed("cors_origins")
    return origin if origin and (origin in allowed or "*" in allowed) else None


def headers_for(requested: Mapping[str, str]) -> dict[str, str]:
    """CORS headers of an answer, for the request's headers by lower-case names."""
    if not settings.cors_origins:
        return {}
    origin = allowed_origin(requested.get("origin"))
    if origin is None:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
    }


def preflight_headers(requested: Mapping[str, str], methods: tuple[str, ...]) -> dict[str, str]:
    """Headers that the answer to a preflight needs beside those of `headers_for`."""
    if allowed_origin(requested.get("origin")) is None:
        return {}
    return {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": ALLOWED_HEADERS,
        "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
    }
