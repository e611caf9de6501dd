"""A simulated provider: for local work, tests and demonstrations.

It stores nothing. Ids are derived from keys, so every call is idempotent, in one process or many. A
region's address describes its behaviour; with an empty one every call succeeds at once:

    latency_ms=200&calls_per_second=50&failures=5     failures: the percentage of busy answers

Limits count within one process, and the same calls fail in each run of it.

Some people and projects have trouble by their names, like the addresses of SES's mailbox simulator.
The first word of an e-mail address or of a project's name, up to `+`, `@` or a space, is one of

    refused       the provider will never do it
    busy          the provider is always too busy
    flaky         the provider is too busy the first two times in a process
    slow          the call takes a second longer

For a person a second word names the step that has the trouble: `user` (the default), `grant`,
`credential` or `revoke`. So flaky-credential+7@example.com gets a user and a role at once, and a
credential at the third try.
"""

import hashlib
import re
import threading
import time
from collections import Counter
from typing import Self
from urllib.parse import parse_qsl

from chalicelib.projects.gateway.port import (
    Busy,
    CloudUser,
    Credential,
    Proved,
    Refused,
    Region,
    Role,
    Save,
)

FLAKY_TRIES = 2
_SLOW_SECONDS = 1.0
_TROUBLE = re.compile(
    r"(?P<word>refused|busy|flaky|slow)(?:-(?P<when>user|grant|credential|revoke))?(?=[+@ ]|\Z)"
)
_KNOWN = frozenset({"latency_ms", "calls_per_second", "failures"})

_lock = threading.Lock()
_tries: Counter[str] = Counter()  #: tries of the flaky calls
_made: Counter[str] = Counter()  #: calls by region; their number decides which ones fail
_free_at: dict[str, float] = {}  #: time.monotonic() of the next call that a region's limit admits


class Simulated:
    """A connection to the simulated provider."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.calls = 0
        self.logins = 0
        self._figures = _figures_of(region.address)

    def ensure_project(self, key: str, name: str, *, enabled: bool = True) -> str:  # noqa: ARG002  not stored
        self._call()
        self._meet(_trouble_of(name), "user", key)
        return self._project_of(key)

    def find_project(self, key: str) -> str | None:
        """Its id, as if it existed: nothing is stored, and to delete it twice does no harm."""
        self._call()
        return self._project_of(key)

    def _project_of(self, key: str) -> str:
        return f"project-{_derived(self.region.name, key)}"

    def ensure_user(self, key: str, email: str, name: str) -> CloudUser:  # noqa: ARG002  not stored
        """Puts the trouble that the address names into the id, since nothing else is stored."""
        self._call()
        trouble = _trouble_of(email)
        self._meet(trouble, "user", key)
        derived = _derived(self.region.name, key)
        return CloudUser(f"user-{derived}{trouble and f'-{trouble}'}", f"bb-{derived}")

    def ensure_grant(self, project_id: str, user_id: str, role: Role) -> None:  # noqa: ARG002  not stored
        self._call()
        self._meet(_trouble_in(user_id), "grant", f"{project_id} {user_id}")

    def revoke_grant(self, project_id: str, user_id: str) -> None:
        self._call()
        self._meet(_trouble_in(user_id), "revoke", f"{project_id} {user_id}")

    def rotate_credential(
        self,
        project_id: str,
        user_id: str,
        save: Save,
        old: str | None,
        proved: Proved | None = None,
    ) -> Credential:
        """Makes as many calls as other providers: one, and two more with an old credential."""
        new_id = f"credential-{_derived(project_id, user_id, old or '0')}"
        new = Credential(new_id, _derived(new_id, "access"), _derived(new_id, "secret"))
        credential = save(new) or new
        self._call()
        self._meet(_trouble_in(user_id), "credential", f"{project_id} {user_id}")
        if proved is not None:
            proved(credential)
        if old is not None:
            self._call()
            self.drop_credential(user_id, old)
        return credential

    def drop_credential(self, user_id: str, credential_id: str) -> None:  # noqa: ARG002  not stored
        self._call()

    def list_regions(self) -> list[str]:
        self._call()
        return [self.region.name]

    def delete_project(self, project_id: str) -> None:  # noqa: ARG002  not stored
        self._call()

    def _call(self) -> None:
        """Counts one call, with the region's latency, limit and failures."""
        self.logins = 1
        self.calls += 1
        time.sleep(self._figures.get("latency_ms", 0) / 1000)
        region = self.region.name
        with _lock:
            _made[region] += 1
            number = _made[region]
            wait_seconds = self._wait_for_turn(region)
        if wait_seconds > 0:
            raise Busy("the simulated provider limits us", after_seconds=1)
        if int(_derived(region, str(number)), 16) % 100 < self._figures.get("failures", 0):
            raise Busy("the simulated provider is too busy", after_seconds=1)

    def _wait_for_turn(self, region: str) -> float:
        """Seconds until the limit admits a call; 0 uses up the turn."""
        rate, now = self._figures.get("calls_per_second", 0), time.monotonic()
        if not rate:
            return 0
        # The calls of one second may come at once.
        free_at = max(_free_at.get(region, 0), now - 1)
        if free_at > now:
            return free_at - now
        _free_at[region] = free_at + 1 / rate
        return 0

    def _meet(self, trouble: str, step: str, what: str) -> None:
        """Causes the trouble if it concerns this step."""
        word, _, when = trouble.partition("-")
        if not word or (when or "user") != step:
            return
        if word == "slow":
            time.sleep(_SLOW_SECONDS)
        elif word == "refused":
            raise Refused("the simulated provider refuses this because of its name")
        elif word == "busy" or _is_flaky_still(f"{step} {what}"):
            raise Busy("the simulated provider is too busy because of its name", after_seconds=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close."""


def _is_flaky_still(what: str) -> bool:
    with _lock:
        _tries[what] += 1
        return _tries[what] <= FLAKY_TRIES


def _trouble_of(text: str) -> str:
    """The trouble that a name asks for, such as `flaky-grant`, or an empty text."""
    match = _TROUBLE.match(text)
    return match[0] if match else ""


def _trouble_in(user_id: str) -> str:
    return "-".join(user_id.split("-")[2:])


def _derived(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _figures_of(address: str) -> dict[str, int]:
    """The figures in a region's address; raises Refused for any other address."""
    try:
        figures = {name: int(value) for name, value in parse_qsl(address, strict_parsing=True)}
    except ValueError:
        figures = {"": 0} if address else {}
    if not set(figures) <= _KNOWN or min(figures.values(), default=0) < 0:
        raise Refused(f"{address!r} does not describe a simulated region")
    return figures
