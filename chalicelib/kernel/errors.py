"""Errors that explain themselves: the docstring is the title, the argument says what to do.

Raised anywhere, turned into `application/problem+json` (RFC 9457) at the edge. In a job every
`AppError` but `Unavailable` means "never" (the work cannot succeed), `Retry` and `Unavailable`
mean "not now", `Skip` means "no longer wanted"; anything else is unexpected and costs an attempt.
"""

from typing import Any, ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One thing wrong with what the client sent."""

    field: str
    detail: str


class AppError(Exception):
    """The request could not be carried out"""

    STATUS: ClassVar[int] = 500
    #: Of several failed conditions of a transaction the lowest counts.
    PRIORITY: ClassVar[int] = 1
    #: True for an error that wants to see the record on which its condition failed.
    RETURNS_EXISTING: ClassVar[bool] = False

    def __init__(self, detail: str = "", *, field_errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail or self.title
        self.field_errors = field_errors

    def on_conflict(self, raw_item: dict[str, Any]) -> None:
        """Called with that record in DynamoDB's form, when `WANTS_OLD`."""

    @property
    def title(self) -> str:
        """The same for every error of one kind."""
        return (type(self).__doc__ or "Error").strip().splitlines()[0]

    @property
    def headers(self) -> dict[str, str]:
        """Headers which the answer carries besides the problem."""
        return {}


class BadRequest(AppError):
    """The request cannot be read"""

    STATUS = 400


class Unauthorized(AppError):
    """A valid bearer token is needed"""

    STATUS = 401

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(AppError):
    """This caller may not do that"""

    STATUS = 403


class NotFound(AppError):
    """No such record"""

    STATUS = 404


class MethodNotAllowed(AppError):
    """This path does not answer that method"""

    STATUS = 405


class Conflict(AppError):
    """The record changed, or already exists"""

    STATUS = 409


class Gone(AppError):
    """This was there once and has ended"""

    STATUS = 410


class PreconditionFailed(AppError):
    """The record is not in the version you named"""

    STATUS = 412


class TooLarge(AppError):
    """The body is too large"""

    STATUS = 413


class UnsupportedMediaType(AppError):
    """The body is of a type that this path does not take"""

    STATUS = 415


class Invalid(AppError):
    """The request is well-formed and its values are not"""

    STATUS = 422


class Later(AppError):
    """Not now"""

    def __init__(self, detail: str = "", *, after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.after_seconds = after_seconds

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.after_seconds)}


class TooManyRequests(Later):
    """Too many requests"""

    STATUS = 429


class Unavailable(Later):
    """The service cannot answer now; try again"""

    STATUS = 503


class Retry(Exception):
    """Not now: the job waits and runs again.

    `after_seconds` None leaves the wait to the job's back-off. `charged` is False when the reason
    is a limit or an outage and not the job itself: then no attempt is used up.
    """

    def __init__(
        self, reason: str, *, after_seconds: int | None = None, charged: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_seconds = after_seconds
        self.charged = charged


class Skip(Exception):
    """No longer wanted: the job ends as `skipped`, and the argument is its reason."""


class Suppressed(Exception):
    """Not to this recipient: its address bounced or complained. The argument says which."""


class Unconfirmed(Exception):
    """An outside service may or may not have done what it was asked: its answer was lost."""
