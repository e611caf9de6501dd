"""A provider that is only simulated: for local work, tests and demonstrations.

It keeps nothing. Ids are derived from keys, so every call is idempotent by itself, in one process
as in many. A region's address holds how it behaves, and whoever gives none gets one that always
answers at once:

    latency_ms=200&calls_per_second=50&failures=5     failures: calls in a hundred that find it busy

The figures hold for one process, and which calls fail is the same in each run of it.

Some people and projects ask for trouble, as the addresses of SES's mailbox simulator do. The first
word of an e-mail address or of a project's name, up to `+`, `@` or a space, is one of

    refused       the provider will never do it
    busy          it is always too busy
    flaky         it is too busy the first two times in a process, then all is well
    slow          it takes a second more

and for a person a second word tells when: at the `user` (if none is given), the `grant`, the
`credential`, or when access is taken away (`revoke`). So flaky-credential+7@example.com gets its
user and role at once, and its credential at the third try.
"""

import hashlib
import re
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from chalicelib.projects.gateway.port import (
    Busy,
    CloudUser,
    Credential,
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
_tries: Counter[str] = Counter()  #: of what is flaky
_made: Counter[str] = Counter()  #: calls of each region, which decides the ones that fail
_free_at: dict[str, float] = {}  #: when each region's limit admits the next call, monotonic


class Simulated:
    """A connection to the simulated provider."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.calls = 0
        self.logins = 0
        self._figures = _figures_of(region.address)

    def ensure_project(self, key: str, name: str, *, enabled: bool = True) -> str:  # noqa: ARG002  not kept
        self._call()
        self._meet(_trouble_of(name), "user", key)
        return self._project_of(key)

    def find_project(self, key: str) -> str | None:
        """As if it were there, since nothing is kept; to delete it again does no harm."""
        self._call()
        return self._project_of(key)

    def _project_of(self, key: str) -> str:
        return f"project-{_derived(self.region.name, key)}"

    def ensure_user(self, key: str, email: str, name: str) -> CloudUser:  # noqa: ARG002  not kept
        """What the address asks for is written into the id, for nothing else is kept."""
        self._call()
        trouble = _trouble_of(email)
        self._meet(trouble, "user", key)
        derived = _derived(self.region.name, key)
        return CloudUser(f"user-{derived}{trouble and f'-{trouble}'}", f"bb-{derived}")

    def ensure_grant(self, project_id: str, user_id: str, role: Role) -> None:  # noqa: ARG002  not kept
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
    ) -> Credential:
        """Costs what it does at the others: one call, and with an old one two more."""
        places = [f"credential-{_derived(project_id, user_id, str(n))}" for n in (0, 1)]
        made_id = next(each for each in places if each != old)
        made = Credential(made_id, _derived(made_id, "access"), _derived(made_id, "secret"))
        made = save(made) or made
        self._call()
        self._meet(_trouble_in(user_id), "credential", f"{project_id} {user_id}")
        if old is not None:
            self._call()
            self.drop_credential(user_id, old)
        return made

    def drop_credential(self, user_id: str, credential_id: str) -> None:  # noqa: ARG002  not kept
        self._call()

    def list_regions(self) -> list[str]:
        self._call()
        return [self.region.name]

    def delete_project(self, project_id: str) -> None:  # noqa: ARG002  not kept
        self._call()

    def _call(self) -> None:
        """One call, with the region's latency, limit and failures."""
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
        """Seconds until the limit admits a call; takes the turn when that is now."""
        rate, now = self._figures.get("calls_per_second", 0), time.monotonic()
        if not rate:
            return 0
        # As many calls as one second has may come at once.
        free_at = max(_free_at.get(region, 0), now - 1)
        if free_at > now:
            return free_at - now
        _free_at[region] = free_at + 1 / rate
        return 0

    def _meet(self, trouble: str, step: str, what: str) -> None:
        """The trouble, where it is meant for this step."""
        word, _, when = trouble.partition("-")
        if not word or (when or "user") != step:
            return
        if word == "slow":
            time.sleep(_SLOW_SECONDS)
        elif word == "refused":
            raise Refused("the simulated provider refuses this, as its name asks for")
        elif word == "busy" or _is_flaky_still(f"{step} {what}"):
            raise Busy("the simulated provider is too busy, as its name asks for", after_seconds=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is held."""


def _is_flaky_still(what: str) -> bool:
    with _lock:
        _tries[what] += 1
        return _tries[what] <= FLAKY_TRIES


def _trouble_of(text: str) -> str:
    """Such as `flaky-grant`, or empty."""
    found = _TROUBLE.match(text)
    return found[0] if found else ""


def _trouble_in(user_id: str) -> str:
    return "-".join(user_id.split("-")[2:])


def _derived(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _figures_of(address: str) -> dict[str, int]:
    """Raises Refused for an address that is none of a simulated region."""
    try:
        figures = {name: int(value) for name, value in parse_qsl(address, strict_parsing=True)}
    except ValueError:
        figures = {"": 0} if address else {}
    if not set(figures) <= _KNOWN or min(figures.values(), default=0) < 0:
        raise Refused(f"{address!r} does not describe a simulated region")
    return figures
