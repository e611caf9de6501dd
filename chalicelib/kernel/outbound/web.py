"""HTTP to outside services, with one place that decides what each failure means.

Every call has a time limit for connecting, for silence and for the whole answer, and a limit for
the size of the answer. It is repeated only where that is safe, a bounded number of times, and only
here: neither `requests` nor the caller repeats it. Redirects are not followed. Each connection goes
to an IP address that was checked just before (`addresses.py`), while TLS and the Host header keep
the name. Logs and errors contain no secret, no header and no query string.
"""

import json
import random
import re
import time
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any, Self

import msgspec

from chalicelib.kernel import telemetry
from chalicelib.kernel.loading import Late
from chalicelib.kernel.outbound import addresses, connections, redaction
from chalicelib.kernel.outbound.addresses import Hostile
from chalicelib.kernel.outbound.deadline import Deadline
from chalicelib.kernel.settings import settings

requests = Late("requests")  # which is large, and not needed to load this module

__all__ = ["Answer", "Hostile", "Limits", "NoAnswer", "Session", "Throttled", "Unreadable"]

MAX_BYTES = 16 * 1024 * 1024
WHOLE_ANSWER_SECONDS = 30
REPEAT_AFTER_SECONDS = (0.1, 0.5)  #: the range of the random wait before a call is repeated
LONGEST_WAIT_SECONDS = 2  #: a longer wait that a service asks for is left to the caller
_DEFAULT_WAIT_SECONDS = 5  #: the wait when a service limits us and names none
_MAX_WAIT_SECONDS = 3600  #: even if a service asks for more
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_OUTAGES = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)


class WebError(Exception):
    """A call without a usable answer. The text may be shown and logged."""


class NoAnswer(WebError):
    """No answer, a late one or a broken service's; the call may have been carried out."""


class TooLong(NoAnswer):
    """The answer took longer than `WHOLE_ANSWER_SECONDS`; it is not asked for again."""


class Throttled(WebError):
    """The service limits us: the call was not carried out."""

    def __init__(self, reason: str, after_seconds: int) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Unreadable(WebError):
    """The answer has another form or is too large, or the certificate is not trusted.

    Probably the address leads to another service.
    """


class Answer(msgspec.Struct, frozen=True):
    """A service's answer, of any status but those of an outage."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body; raises Unreadable for what is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unreadable("answered something that is not JSON") from None


class Limits(msgspec.Struct, frozen=True):
    """How patient a caller is with a service, and whose certificates it trusts."""

    connect_seconds: int = 3
    read_seconds: int = 10  #: the longest silence; `WHOLE_ANSWER_SECONDS` limits the whole answer
    tries: int = 2  #: of a call that is safe to repeat
    ca_file: str = ""  #: file of trusted CA certificates; empty: certifi's


USUAL = Limits()


class Session:
    """Calls of one service over kept connections; a context manager that closes them.

    Raises Hostile for an address that must not be called, at once or when a call resolves it.
    """

    def __init__(
        self, address: str, limits: Limits = USUAL, watch: Callable[[str], None] | None = None
    ) -> None:
        """`watch` is called with each try, such as `GET /path`."""
        self.address = addresses.parse(address, private=settings.private_addresses)
        self._limits = limits
        self.tries = 0
        self._watch = watch
        self._hidden: set[str] = set()
        self._http: Any = None

    def hide(self, *secrets: str) -> None:
        """Keeps these secrets out of the texts that `cleaned` returns."""
        self._hidden.update(secret for secret in secrets if secret)

    def cleaned(self, text: str) -> str:
        """A service's text that may be logged: short, without secrets and control characters."""
        return redaction.cleaned(text, self._hidden)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        final: Collection[int] = (),
    ) -> Answer:
        """Makes one call and returns its answer.

        `repeatable` says whether making it twice does no harm; by default that holds for GET, HEAD,
        PUT and DELETE. A status in `final` counts as an answer, even if it usually means an outage.
        Raises NoAnswer, Throttled, Unreadable and Hostile; the caller handles all other statuses.
        """
        may_repeat = method in _REPEATABLE if repeatable is None else repeatable
        options = {"params": query, "json": body, "headers": dict(headers or {})}
        left = max(1, self._limits.tries)
        while True:
            left -= 1
            try:
                return _checked(self._try(method, path, options), final)
            except (NoAnswer, Throttled) as error:
                wait_seconds = _wait_before_next(error, may_repeat=may_repeat)
                if not left or wait_seconds is None:
                    self.warn("call failed", method=method, path=path, why=str(error))
                    raise
                time.sleep(wait_seconds)

    def warn(self, what: str, **facts: Any) -> None:
        """Logs something about the service; `facts` must hold no secret."""
        telemetry.log.warning(what, host=self.address.host, **facts)

    def _try(self, method: str, path: str, options: dict[str, Any]) -> Answer:
        self.tries += 1
        if self._watch:
            self._watch(f"{method} {path}")
        return self._exchange(method, path, options)

    def _exchange(self, method: str, path: str, options: dict[str, Any]) -> Answer:
        """Raises errors without their causes, which contain headers and query strings."""
        with Deadline(WHOLE_ANSWER_SECONDS) as limit:
            try:
                with self._session().request(
                    method,
                    self.address.url + path,
                    **options,
                    timeout=(self._limits.connect_seconds, self._limits.read_seconds),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    answer = Answer(response.status_code, response.headers, _read(response))
            except requests.exceptions.RequestException as error:
                raise _too_long() if limit.is_over else _error_for(error) from None
        if limit.is_over:  # an answer without a length only looks complete
            raise _too_long()
        return answer

    def _session(self) -> Any:
        if self._http is None:
            self._http = connections.new_session(self._limits.ca_file)
        return self._http

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections; a later call opens new ones."""
        if self._http is not None:
            self._http.close()
            self._http = None


def _read(response: Any) -> bytes:
    """The whole body; raises Unreadable when it is too large."""
    parts: list[bytes] = []
    size = 0
    for part in response.iter_content(64 * 1024):
        size += len(part)
        if size > MAX_BYTES:
            raise Unreadable("its answer is too large")
        parts.append(part)
    return b"".join(parts)


def _too_long() -> TooLong:
    return TooLong("its answer takes too long")


def _error_for(error: Exception) -> WebError:
    """What an error of `requests` means."""
    kind = type(error).__name__
    if isinstance(error, requests.exceptions.SSLError):
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "doesn't match" in str(error):
            return Unreadable("its certificate is not trusted for this name")
        return NoAnswer("the TLS connection broke")
    if isinstance(error, requests.exceptions.Timeout):
        return NoAnswer(f"no answer in time ({kind})")
    return NoAnswer(f"no connection ({kind})")


def _checked(answer: Answer, final: Collection[int]) -> Answer:
    if answer.status in final:
        return answer
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Throttled("it got too many requests", _wait_of(answer))
    if answer.status in _OUTAGES:
        raise NoAnswer(f"it answered {answer.status}")
    return answer


def _wait_of(answer: Answer) -> int:
    """The seconds of Retry-After, or the default when it holds a date (RFC 9110, 10.2.3)."""
    retry_after = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", retry_after):
        return max(1, min(int(retry_after), _MAX_WAIT_SECONDS))
    return _DEFAULT_WAIT_SECONDS


def _wait_before_next(error: NoAnswer | Throttled, *, may_repeat: bool) -> float | None:
    """Seconds until the call is repeated here; None when it is not repeated here."""
    if isinstance(error, TooLong):
        return None
    if isinstance(error, Throttled):
        return error.after_seconds if error.after_seconds <= LONGEST_WAIT_SECONDS else None
    return random.uniform(*REPEAT_AFTER_SECONDS) if may_repeat else None
