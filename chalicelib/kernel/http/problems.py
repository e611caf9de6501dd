"""Errors as `application/problem+json` (RFC 9457)."""

from typing import Any

import msgspec
from chalice.app import Response

from chalicelib.kernel.errors import AppError, Invalid


# Not named FieldError, since the name is part of the OpenAPI document.
class FieldFault(msgspec.Struct, frozen=True):
    """One thing wrong with the request."""

    field: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error, as RFC 9457 describes it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[FieldFault] | None = None


def problem(error: AppError, request_id: str) -> Response:
    """The answer to a request that ended with `error`."""
    field_errors = (
        [FieldFault(*each) for each in error.field_errors] if isinstance(error, Invalid) else None
    )
    content = Problem(
        "about:blank", error.title, error.STATUS, error.detail, request_id, field_errors
    )
    headers: dict[str, Any] = {"Content-Type": "application/problem+json", **error.headers}
    return Response(msgspec.json.encode(content).decode(), headers, error.STATUS)
