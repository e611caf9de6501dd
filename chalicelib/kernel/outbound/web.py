"""HTTP to outside services, with what can go wrong decided in one place.

Every call has a limit for connecting, for silence, for the whole answer and for its size. It is
repeated only where that is safe, a bounded number of times, and nowhere else: not by `requests`,
not by whoever calls. Redirects are not followed. Each connection goes to an IP address that was
checked just before (`addresses.py`), while TLS and the Host header keep the name. What is logged
or raised holds no secret, no header and no query string.
"""

import json
import random
import re
import time
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import msgspec
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from chalicelib.kernel import telemetry
from chalicelib.kernel.outbound import addresses
from chalicelib.kernel.outbound.addresses import Hostile
from chalicelib.kernel.settings import settings

__all__ = ["Answer", "Hostile", "NoAnswer", "Session", "Throttled", "Unreadable"]

MAX_BYTES = 16 * 1024 * 1024
WHOLE_ANSWER_SECONDS = 30
REPEAT_AFTER_SECONDS = (0.1, 0.5)  #: between these a call is repeated that had no answer
LONGEST_WAIT_SECONDS = 2  #: a wait that is asked for is kept here up to this, else handed on
_USUAL_WAIT_SECONDS = 5  #: where a limit was met and no wait was named
_MOST_WAIT_SECONDS = 3600  #: whatever a service asks for
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_OUT_OF_ORDER = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
_MOST_IPS = 3
_LONGEST_TEXT = 300
_HIDDEN = "***"
_LOOKS_SECRET = re.compile(
    r"(?i)((?:password|passwd|secret|token|authorization|signature)[\w-]*"
    r"[\"']?\s*[:=]\s*)(?:(?:bearer|basic)\s+)?(\"[^\"]*\"|'[^']*'|[^\s,;&}]+)"
)


class WebError(Exception):
    """A call that gave nothing to go on with; its text may be shown and logged."""


class NoAnswer(WebError):
    """Nothing, too late, or an outage's answer. The call may have been carried out."""


class Throttled(WebError):
    """A limit was met: the call was not carried out."""

    def __init__(self, reason: str, after_seconds: int) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Unreadable(WebError):
    """Not the service that was meant: not its form, too large, or a certificate not trusted."""


class Answer(msgspec.Struct, frozen=True):
    """A service's answer, of whatever status below those of an outage."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body; raises Unreadable for what is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unreadable("answered something that is not JSON") from None


class Session:
    """Calls of one service over kept connections; a context manager that closes them.

    Raises Hostile for an address that must not be called, at once or when a call resolves it.
    """

    def __init__(self, address: str, watch: Callable[[str], None] | None = None) -> None:
        """`watch` is told each try, as `GET /path`."""
        self.address = addresses.parse(address, private=settings.private_addresses)
        self.tries = 0
        self._watch = watch
        self._hidden: set[str] = set()
        self._http: Any = None

    def hide(self, *secrets: str) -> None:
        """These never stand in a text that `cleaned` gives."""
        self._hidden.update(each for each in secrets if each)

    def cleaned(self, text: str) -> str:
        """What a service said, fit to be shown: without secrets and control characters, short."""
        for secret in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        text = _LOOKS_SECRET.sub(rf"\1{_HIDDEN}", text)
        printable = "".join(each if each.isprintable() else " " for each in text)
        return printable[:_LONGEST_TEXT]

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
        """One call. `repeatable` says that making it twice does no harm; GET, PUT and DELETE are.
        A status in `final` is an answer here, though it usually tells of an outage.

        Raises NoAnswer, Throttled, Unreadable and Hostile; other answers are the caller's matter.
        """
        may_repeat = method in _REPEATABLE if repeatable is None else repeatable
        options = {"params": query, "json": body, "headers": dict(headers or {})}
        left = max(1, settings.provider_tries)
        while True:
            left -= 1
            try:
                return _judged(self._try(method, path, options), final)
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
        """Raised without their causes: those name headers, addresses with queries, or both."""
        import requests

        limits = (settings.provider_connect_seconds, settings.provider_read_seconds)
        try:
            with self._session().request(
                method,
                self.address.url + path,
                **options,
                timeout=limits,
                allow_redirects=False,
                stream=True,
            ) as response:
                return Answer(response.status_code, response.headers, _read(response))
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error) or "doesn't match" in str(error):
                raise Unreadable("its certificate is not trusted for this name") from None
            raise NoAnswer("the TLS connection broke") from None
        except requests.exceptions.Timeout as error:
            raise NoAnswer(f"no answer in time ({type(error).__name__})") from None
        except requests.exceptions.RequestException as error:
            raise NoAnswer(f"no connection ({type(error).__name__})") from None

    def _session(self) -> Any:
        if self._http is None:
            self._http = _new_session()
        return self._http

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


class _Checked(HTTPConnection):
    """Connects to an IP address that was checked; to all others it is still the name's."""

    def _new_conn(self) -> Any:
        name, port = self._dns_host, int(self.port or 0)
        ips = addresses.resolved(name, port, private=settings.private_addresses)[:_MOST_IPS]
        try:
            for left, ip in enumerate(ips, start=1 - len(ips)):
                self._dns_host = ip
                try:
                    return super()._new_conn()
                except (ConnectTimeoutError, NewConnectionError):
                    if left == 0:
                        raise
        finally:
            self._dns_host = name
        raise NewConnectionError(self, "the name has no address")


class _CheckedTls(_Checked, HTTPSConnection):
    """The same under TLS, which verifies the name."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Checked


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedTls


def _new_session() -> Any:
    """A session that repeats nothing, and takes nothing from the environment: a proxy would be
    handed what is meant for the checked address.
    """
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.trust_env = False
    session.verify = settings.provider_ca_file or True
    session.headers["User-Agent"] = "backburner"
    for scheme in ("http://", "https://"):
        adapter = HTTPAdapter(max_retries=0)
        adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        session.mount(scheme, adapter)
    return session


def _read(response: Any) -> bytes:
    """The whole body, in time and within its size; a server may send it drop by drop."""
    deadline = time.monotonic() + WHOLE_ANSWER_SECONDS
    parts: list[bytes] = []
    size = 0
    for part in response.iter_content(64 * 1024):
        size += len(part)
        if size > MAX_BYTES:
            raise Unreadable("its answer is too large")
        if time.monotonic() > deadline:
            raise NoAnswer("its answer takes too long")
        parts.append(part)
    return b"".join(parts)


def _judged(answer: Answer, final: Collection[int]) -> Answer:
    if answer.status in final:
        return answer
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Throttled("it is asked too often", _wait_of(answer))
    if answer.status in _OUT_OF_ORDER:
        raise NoAnswer(f"it answered {answer.status}")
    return answer


def _wait_of(answer: Answer) -> int:
    """Seconds that Retry-After asks for; as a date (RFC 9110, 10.2.3) it is the usual wait."""
    asked = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", asked):
        return max(1, min(int(asked), _MOST_WAIT_SECONDS))
    return _USUAL_WAIT_SECONDS


def _wait_before_next(error: NoAnswer | Throttled, *, may_repeat: bool) -> float | None:
    """Seconds to wait in this call before it is tried again; None: not here."""
    if isinstance(error, Throttled):
        return error.after_seconds if error.after_seconds <= LONGEST_WAIT_SECONDS else None
    return random.uniform(*REPEAT_AFTER_SECONDS) if may_repeat else None
