"""One connection to a provider: a log-in whose token serves every call, and what answers mean."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from chalicelib.kernel.outbound import web
from chalicelib.kernel.outbound.web import Answer
from chalicelib.projects.gateway.port import Busy, Down, Refused, Region

_NO_TOKEN = frozenset({HTTPStatus.UNAUTHORIZED})
_REDIRECTS = range(300, 400)


class Connection(ABC):
    """Calls of a provider's identity service. A dialect says how it logs in."""

    def __init__(self, region: Region, address: str) -> None:
        self.region = region
        self.logins = 0
        self._token = ""
        self._token_served = False
        self._date = ""  #: the provider's own clock, as its last answer gave it
        try:
            self._web = web.Session(address)
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
        """A token; counts the log-in in `logins`."""

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
        """A call with the token. Every call here may be made twice: what is there stays there.

        Returns successes and the statuses in `also`; raises Refused, Busy and Down for all others.
        """
        if not self._token:
            self._take(self._log_in())
        options = {"query": query, "body": body, "final": final}
        answer = self._send(method, path, self._token, **options)
        if answer.status in _NO_TOKEN and self._token_served and answer.status not in also:
            self._take(self._log_in())  # it was revoked, or its time was over
            answer = self._send(method, path, self._token, **options)
        self._token_served = self._token_served or answer.status not in _NO_TOKEN
        return self._judged(answer, also)

    def _take(self, token: str) -> None:
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

    def _judged(self, answer: Answer, also: Collection[int] = ()) -> Answer:
        if answer.status in also or HTTPStatus(200) <= answer.status < _REDIRECTS.start:
            return answer
        said = self._said(answer)
        if answer.status in _REDIRECTS:
            raise Refused(f"{self._where} answers with a redirect; give the address it leads to")
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Busy(f"{self._where} failed: {said}", after_seconds=2)
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise Refused(f"{self._where} does not allow this to our account: {said}")
        raise Refused(f"{self._where} refused: {said}")

    def _said(self, answer: Answer) -> str:
        """The provider's own words, fit to be shown, after the status."""
        try:
            content = answer.json()
            error = content["error"]
            words = str(error["message"] if isinstance(error, dict) else error)
        except (web.Unreadable, KeyError, TypeError):
            words = ""
        return self._web.cleaned(f"{answer.status} {words}".strip())

    def _json(self, answer: Answer, *names: str) -> Any:
        """What stands under these names in the answer; Refused for one of another form."""
        try:
            content = answer.json()
            for name in names:
                content = content[name]
        except (web.Unreadable, KeyError, TypeError):
            raise Refused(f"{self._where} is not usable: unexpected form of answer") from None
        return content

    def _provider_time(self) -> datetime:
        """By its clock, since ours may differ from it."""
        try:
            return parsedate_to_datetime(self._date)
        except (ValueError, TypeError):
            return datetime.now(UTC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._web.__exit__(kind, error, trace)
