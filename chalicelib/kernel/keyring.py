"""The keys that sign links and cursors: read from SSM, and kept for about five minutes.

The parameter `/backburner/<stage>/signing-keys` holds them comma-separated, the newest first. A key
that came by a rotation begins with the second since which it has been there, such as
`1796057451:mQ3...`; the prefix belongs to the key, so that a release that knows no prefixes
verifies the same signatures. A key without one has been there always.

A new key verifies at once and signs after ten minutes. By then every instance has read it, as each
keeps what it has read for four to six minutes.
"""

import random
import re
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from chalicelib.kernel import aws, clock, telemetry
from chalicelib.kernel.errors import Unavailable
from chalicelib.kernel.settings import settings

SIGNS_AFTER_SECONDS = 600
KEEP_SECONDS = 300
SPREAD = 0.2  #: of KEEP_SECONDS, up or down: instances that started together do not read together
RETRY_SECONDS = 30  #: after a read that failed, while older keys are known
FIRST_RETRY_SECONDS = 1  #: while none is known
_SINCE = re.compile(r"(\d{10}):.")


class Unreadable(Exception):
    """The parameter cannot be read now; says why."""


def parse(text: str) -> tuple[str, ...]:
    """The keys in the parameter's value. Raises Unreadable for a value without any."""
    keys = tuple(key for part in text.split(",") if (key := part.strip()))
    if not keys:
        raise Unreadable("the parameter holds no key")
    return keys


def since(key: str) -> int:
    """The epoch second since which the key has been in the parameter; 0: always."""
    match = _SINCE.match(key)
    return int(match[1]) if match else 0


def signing_one(keys: tuple[str, ...], now: int) -> str:
    """The newest key that is old enough to sign; the oldest while none is."""
    return next((key for key in keys if now - since(key) >= SIGNS_AFTER_SECONDS), keys[-1])


class Ring:
    """What one instance knows of the keys; shared by its threads.

    One thread reads at a time. The others go on with the keys that are known, and wait only while
    there are none. All times are by the wall clock: an instance may be frozen for hours, and its
    keys are as old as that when it wakes.
    """

    def __init__(self, read: Callable[[], str], keep_seconds: float) -> None:
        self._read = read
        self._keep_seconds = keep_seconds
        self._lock = threading.Lock()
        self._keys: tuple[str, ...] = ()
        self._tried_at = self._due_at = self._read_at = self._failing_since = 0.0

    def keys(self) -> tuple[str, ...]:
        """All keys, the newest first. Raises Unavailable while none is known."""
        if self._is_due() and self._lock.acquire(blocking=not self._keys):
            try:
                if self._is_due():
                    self._refresh()
            finally:
                self._lock.release()
        if not self._keys:
            raise Unavailable("Links and cursors can be neither made nor checked now; try again")
        return self._keys

    def may_lack_a_key(self) -> bool:
        """Whether another instance may sign with a key that this one could not read so far."""
        return time.time() - self._read_at > SIGNS_AFTER_SECONDS

    def _is_due(self) -> bool:
        return not self._tried_at <= time.time() < self._due_at

    def _refresh(self) -> None:
        """Reads the keys; leaves the known ones in place when that fails."""
        now = time.time()
        try:
            keys = parse(self._read())
        except Unreadable as error:
            self._failed(now, error)
        else:
            self._keys, self._read_at, self._failing_since = keys, now, 0.0
            self._due_at = now + self._keep_seconds
        self._tried_at = now

    def _failed(self, now: float, error: Unreadable) -> None:
        """An alarm reads the metric: an hour of it means that a rotation would break links."""
        self._failing_since = self._failing_since or now
        self._due_at = time.time() + (RETRY_SECONDS if self._keys else FIRST_RETRY_SECONDS)
        telemetry.log.warning("signing keys not read", known=len(self._keys), why=str(error))
        telemetry.emit({"keys_failing_seconds": max(0.0, now - self._failing_since)})


def _from_ssm() -> str:
    # Brings boto3: saves 21 ms of CPU wherever nothing makes or opens a link or a cursor.
    from aws_lambda_powertools.utilities import parameters

    try:
        with telemetry.configuration():
            return str(
                _provider(parameters.SSMProvider).get(
                    f"/backburner/{settings.stage}/signing-keys", decrypt=True, force_fetch=True
                )
            )
    except parameters.GetParameterError as error:
        raise Unreadable(str(error)) from error


@cache
def _provider(provider_class: Any) -> Any:
    """With our client, so that there is no second session; one, since each adds a hook to it."""
    return provider_class(boto3_client=aws.client("ssm"))


def _new_ring(read: Callable[[], str]) -> Ring:
    keep_seconds = KEEP_SECONDS * random.Random().uniform(1 - SPREAD, 1 + SPREAD)  # nosec B311
    return Ring(read, keep_seconds)


_ring = _new_ring(_from_ssm)


def verifying_keys() -> tuple[str, ...]:
    """The keys that verify, the newest first. Raises Unavailable while none is known."""
    return _ring.keys()


def signing_key() -> str:
    """The key that signs now. Raises Unavailable while none is known."""
    return signing_one(_ring.keys(), clock.epoch_seconds())


def may_lack_a_key() -> bool:
    """Whether a signature that no key verifies may be of a key that could not be read so far."""
    return _ring.may_lack_a_key()


def use(read: Callable[[], str] = _from_ssm) -> None:
    """Forgets all keys and reads them with `read` from here on: for tools and tests."""
    global _ring  # noqa: PLW0603  # a process has one
    _ring = _new_ring(read)
