"""Errors that explain themselves: the docstring is the title, the argument says what to do.

They may be raised anywhere; the HTTP layer turns them into `application/problem+json` (RFC 9457).
In a job every `AppError` but `Later` means that the work can never succeed, `Retry` and `Later`
mean "not now", and `Skip` means "no longer needed". Any other error costs an attempt.
"""

from typing import Any, ClassVar, NamedTuple


class FieldError(NamedTuple):
    """An error in one field of the request."""

    field: str
    detail: str


class AppError(Exception):
    """The request could not be carried out"""

    STATUS: ClassVar[int] = 500
    #: When several conditions of a transaction fail, the error with the lowest priority is raised.
    PRIORITY: ClassVar[int] = 1
    #: True for an error that needs the record on which its condition failed; see `on_conflict`.
    RETURNS_EXISTING: ClassVar[bool] = False

    def __init__(self, detail: str = "", *, field_errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail or self.title
        self.field_errors = field_errors

    def on_conflict(self, raw_item: dict[str, Any]) -> None:
        """Receives that record in DynamoDB's form, if `RETURNS_EXISTING` is True."""

    @property
    def title(self) -> str:
        """The first line of the class's docstring: the same for every error of its class."""
        return (type(self).__doc__ or "Error").strip().splitlines()[0]

    @property
    def headers(self) -> dict[str, str]:
        """Headers that are sent with the problem."""
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
    """You may not do this"""

    STATUS = 403


class NotFound(AppError):
    """No such record"""

    STATUS = 404


class MethodNotAllowed(AppError):
    """This path does not support this method"""

    STATUS = 405


class Conflict(AppError):
    """The record has changed or already exists"""

    STATUS = 409


class Gone(AppError):
    """This no longer exists"""

    STATUS = 410


class PreconditionFailed(AppError):
    """The record does not have the version that you named"""

    STATUS = 412


class TooLarge(AppError):
    """The body is too large"""

    STATUS = 413


class UnsupportedMediaType(AppError):
    """This path does not accept a body of this type"""

    STATUS = 415


class Invalid(AppError):
    """The request is well-formed, but some of its values are not valid"""

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

    Without `after_seconds` the job's back-off decides how long. `charged` is False when a limit or
    an outage is the reason and not the job itself; then no attempt is used up.
    """

    def __init__(
        self, reason: str, *, after_seconds: int | None = None, charged: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_seconds = after_seconds
        self.charged = charged


class Skip(Exception):
    """The job is no longer needed: it ends as `skipped`, and the argument is its reason."""


class Suppressed(Exception):
    """Nothing is sent: the address bounced or complained. The argument says which."""


class Unconfirmed(Exception):
    """The answer of an outside service was lost: it may or may not have done the work."""
