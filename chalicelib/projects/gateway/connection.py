"""One connection to a provider: one log-in for all calls, and what the answers mean."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Self

from chalicelib.kernel.outbound import web
from chalicelib.kernel.outbound.web import Answer, Limits
from chalicelib.projects.gateway.port import Busy, Down, Refused, Region
from chalicelib.projects.settings import settings

_NO_TOKEN = frozenset({HTTPStatus.UNAUTHORIZED})
_REDIRECTS = range(300, 400)


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
        if answer.status in also or HTTPStatus(200) <= answer.status < _REDIRECTS.start:
            return answer
        message = self._message(answer)
        if answer.status in _REDIRECTS:
            raise Refused(
                f"{self._where} answers with a redirect; enter the address that it leads to"
            )
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Busy(f"{self._where} failed: {message}", after_seconds=2)
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise Refused(f"{self._where} does not allow our account to do this: {message}")
        raise Refused(f"{self._where} refused: {message}")

    def _message(self, answer: Answer) -> str:
        """The status and the provider's own message, cleaned so that they may be shown."""
        try:
            content = answer.json()
            error = content["error"]
            message = str(error["message"] if isinstance(error, dict) else error)
        except (web.Unreadable, KeyError, TypeError):
            message = ""
        return self._web.cleaned(f"{answer.status} {message}".strip())

    def _json(self, answer: Answer, *names: str) -> Any:
        """The value under these names in the answer; raises Refused for an unexpected form."""
        try:
            content = answer.json()
            for name in names:
                content = content[name]
        except (web.Unreadable, KeyError, TypeError):
            raise Refused(
                f"{self._where} is not usable: its answer has an unexpected form"
            ) from None
        return content

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
