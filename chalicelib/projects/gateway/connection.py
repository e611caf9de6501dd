"""One connection to a provider: one log-in for all calls, and what the answers mean."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Self, TypeVar

import msgspec

from chalicelib.kernel.outbound import web
from chalicelib.kernel.outbound.web import Answer, Limits
from chalicelib.projects.gateway.port import Busy, Down, Refused, Region
from chalicelib.projects.settings import settings

F = TypeVar("F")

_NO_TOKEN = frozenset({HTTPStatus.UNAUTHORIZED})
_REDIRECTS = range(300, 400)
#: No part is empty or holds only dots.
_PATH = re.compile(r"(?:/(?!\.+(?:/|\?|\Z))[A-Za-z0-9_.-]+)+(?:\?[a-z]+)?")
_TOKEN = re.compile(r"[!-~]{1,8192}")
_NOTHING = object()  #: has no form


def is_token(text: str) -> bool:
    """True for a text that may be a token; another one would be dear to hide in texts."""
    return _TOKEN.fullmatch(text) is not None


def _limits() -> Limits:
    return Limits(
        settings.provider_connect_seconds,
        settings.provider_read_seconds,
        settings.provider_tries,
        settings.provider_ca_file,
    )


class Connection(ABC):
    """Calls of a provider's identity service. A subclass implements the log-in."""

    def __init__(self, region: Region, address: str) -> None:
        self.region = region
        self.logins = 0
        self._token = ""
        self._token_served = False
        self._date = ""  #: the Date header of the provider's last answer
        try:
            self._web = web.Session(address, _limits())
        except web.Hostile as hostile:
            raise Refused(f"The address of {self._where} {hostile}") from None
        self._web.hide(region.password)

    @property
    def calls(self) -> int:
        return self._web.tries - self.logins

    @property
    def _where(self) -> str:
        return f"the region {self.region.name}"

    @abstractmethod
    def _log_in(self) -> str:
        """Logs in and returns the token; counts it in `logins`."""

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        also: Collection[int] = (),
        final: Collection[int] = (),
    ) -> Answer:
        """A call with the token; every call here may be made twice.

        Returns successes and the statuses in `also`; raises Refused, Busy or Down for all others.
        """
        if not self._token:
            self._use_token(self._log_in())
        options = {"query": query, "body": body, "final": final}
        answer = self._send(method, path, self._token, **options)
        if answer.status in _NO_TOKEN and self._token_served and answer.status not in also:
            self._use_token(self._log_in())  # the old token was revoked or has expired
            answer = self._send(method, path, self._token, **options)
        self._token_served = self._token_served or answer.status not in _NO_TOKEN
        return self._checked(answer, also)

    def _use_token(self, token: str) -> None:
        self._web.hide(token)
        self._token = token
        self._token_served = False

    def _send(self, method: str, path: str, token: str, **options: Any) -> Answer:
        if not _PATH.fullmatch(path):  # of an id that an earlier release saved unchecked
            raise Refused(f"an id that {self._where} gave us cannot be used")
        headers = {"X-Auth-Token": token} if token else {}
        try:
            answer = self._web.send(method, path, headers=headers, repeatable=True, **options)
        except web.Hostile as hostile:
            raise Refused(f"The address of {self._where} {hostile}") from None
        except web.NoAnswer as silent:
            raise Down(f"{self._where} cannot be reached: {silent}", after_seconds=5) from None
        except web.Throttled as limit:
            reason = f"{self._where} limits us: {limit}"
            raise Busy(reason, after_seconds=limit.after_seconds) from None
        except web.Unreadable as strange:
            raise Refused(f"{self._where} is not usable: {strange}") from None
        self._date = answer.headers.get("Date", "")
        return answer

    def _checked(self, answer: Answer, also: Collection[int] = ()) -> Answer:
        """The answer, if it is a success or has a status in `also`.

        Errors name the status and no word of the provider's: tenants see them, and a provider may
        say what it likes. Its words are logged, without our secrets.
        """
        if answer.status in also or HTTPStatus(200) <= answer.status < _REDIRECTS.start:
            return answer
        self._refuse_redirect(answer)
        self._web.warn("refused", status=answer.status, words=self._words(answer))
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Busy(f"{self._where} failed: {answer.status}", after_seconds=2)
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise Refused(f"{self._where} does not allow our account to do this: {answer.status}")
        raise Refused(f"{self._where} refused: {answer.status}")

    def _admitted(self, answer: Answer) -> Answer:
        """The answer to a log-in, if it is a success.

        Of another one nothing is shown or logged but the status: it may repeat our password.
        """
        if HTTPStatus(200) <= answer.status < _REDIRECTS.start:
            return answer
        self._refuse_redirect(answer)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Busy(f"{self._where} failed at our log-in: {answer.status}", after_seconds=2)
        raise Refused(f"{self._where} refused our log-in: {answer.status}")

    def _refuse_redirect(self, answer: Answer) -> None:
        if answer.status in _REDIRECTS:
            raise Refused(
                f"{self._where} answers with a redirect; enter the address that it leads to"
            )

    def _words(self, answer: Answer) -> str:
        """The provider's own message, cleaned so that it may be logged; empty if there is none."""
        try:
            error = answer.json()["error"]
            message = error["message"] if isinstance(error, dict) else error
        except (web.Unreadable, KeyError, TypeError):
            return ""
        return self._web.cleaned(message) if isinstance(message, str) else ""

    def _form(self, content: Any, form: type[F]) -> F:
        """What the provider sent, in the form that it should have; raises Refused for another."""
        try:
            return msgspec.convert(content, form)
        except (msgspec.ValidationError, RecursionError):
            raise Refused(f"{self._where} is not usable: its answer has an unknown form") from None

    def _json(self, answer: Answer, form: type[F], *names: str) -> F:
        """The value under these names in the answer; raises Refused for an unknown form."""
        try:
            content = answer.json()
            for name in names:
                content = content[name]
        except (web.Unreadable, KeyError, TypeError):
            content = _NOTHING
        return self._form(content, form)

    def _provider_time(self) -> datetime:
        """The time by the provider's clock, which may differ from ours."""
        try:
            return parsedate_to_datetime(self._date)
        except (ValueError, TypeError):
            return datetime.now(UTC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._web.close()
