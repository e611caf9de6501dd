"""A circuit breaker for each provider: while SES or SNS is down, only one probe at a time calls it.

While the breaker is closed, calls go through; `breaker_failures` in a row on one instance open it.
While it is open, nobody calls until `open_until`. Then one worker probes, chosen by a conditional
write, and the others wait. If the probe succeeds the breaker closes for all instances, if it fails
the pause doubles. An instance reads the state every few seconds at most.
(Nygard, "Release It!", 2nd ed. 2018, ch. 5.)

So an outage costs each instance at most the calls that open the breaker, the calls that are under
way beside them, and its calls within `_READ_EVERY_SECONDS`. After that it costs all instances
together one call for each pause.
"""

import threading
import time

import msgspec
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.errors import Retry
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import records
from chalicelib.kernel.store.records import KernelRecord, Number

_PLATFORM = "#platform"  #: partition of what belongs to no tenant
_READ_EVERY_SECONDS = 2
_PROBE_SECONDS = 15  #: how long a probe may take before another worker probes
_LONGEST_PAUSE_SECONDS = 300


class BreakerRecord(KernelRecord):
    """Row of a provider's breaker: keys ("#platform", "breaker#" + provider)."""

    open_until = Number(default=0)  #: epoch seconds; 0 while the breaker is closed
    pause_seconds = Number(default=0)


class _Seen(msgspec.Struct):
    """What this instance knows of one provider."""

    read_at: float = float("-inf")
    open_until: int = 0
    pause_seconds: int = 0
    failures: int = 0
    probing: bool = False  #: True while this instance's probe is under way


_seen: dict[str, _Seen] = {}
_lock = threading.Lock()


def forget() -> None:
    """Drops what this instance knows of all providers."""
    _seen.clear()


def admit(provider: str) -> None:
    """Returns if the provider may be called now, else raises Retry, which uses up no attempt."""
    open_until = _open_until(provider)
    if not open_until:
        return
    now = clock.epoch_seconds()
    if open_until > now:
        raise Retry(f"{provider} is down", after_seconds=open_until - now)
    if not _take_probe(provider, open_until, now):
        raise Retry(f"{provider} is being tried by another worker", after_seconds=_PROBE_SECONDS)
    _seen[provider].probing = True


def succeeded(provider: str) -> None:
    """The provider answered: an open breaker closes for all instances."""
    seen = _seen.setdefault(provider, _Seen())
    seen.failures, seen.probing = 0, False
    if seen.open_until and _save(provider, open_until=0, pause_seconds=0):
        telemetry.log.warning("breaker closed", provider=provider)
        seen.open_until = seen.pause_seconds = 0


def failed(provider: str, why: str) -> int | None:
    """The provider was down: enough failures in a row open the breaker for all instances.

    Returns the seconds until the next probe, None while the breaker is closed.
    """
    seen = _seen.setdefault(provider, _Seen())
    with _lock:
        seen.failures += 1
        probed, seen.probing = seen.probing, False
    if probed:
        _open(provider, seen, min(seen.pause_seconds * 2, _LONGEST_PAUSE_SECONDS), why)
    elif not seen.open_until and seen.failures >= settings.breaker_failures:
        closed = BreakerRecord.open_until.does_not_exist() | (BreakerRecord.open_until == 0)
        _open(provider, seen, settings.breaker_pause_seconds, why, closed)
    return max(0, seen.open_until - clock.epoch_seconds()) if seen.open_until else None


def _open(
    provider: str, seen: _Seen, pause_seconds: int, why: str, condition: Condition | None = None
) -> None:
    until = clock.epoch_seconds() + pause_seconds
    if _save(provider, condition, open_until=until, pause_seconds=pause_seconds):
        seen.open_until, seen.pause_seconds = until, pause_seconds
        telemetry.log.error("breaker open", provider=provider, why=why, pause_seconds=pause_seconds)
        telemetry.emit({"breaker_opened": 1}, provider=provider)
    else:
        seen.read_at = float("-inf")  # another instance was faster: its row is read next


def _open_until(provider: str) -> int:
    """The end of the pause in epoch seconds, 0 while the breaker is closed."""
    with _lock:
        seen = _seen.setdefault(provider, _Seen())
        if time.monotonic() - seen.read_at < _READ_EVERY_SECONDS and not seen.open_until:
            return 0
        with telemetry.configuration():
            row = records.read(BreakerRecord, _PLATFORM, _key(provider)) or _row(provider)
        seen.open_until, seen.pause_seconds = int(row.open_until), int(row.pause_seconds)
        seen.read_at = time.monotonic()
        return seen.open_until


def _take_probe(provider: str, open_until: int, now: int) -> bool:
    """True for one of all workers: the one that moves the end of the pause it has read."""
    unchanged = BreakerRecord.open_until == open_until
    return _row(provider).change_if(unchanged, [BreakerRecord.open_until.set(now + _PROBE_SECONDS)])


def _save(provider: str, condition: Condition | None = None, /, **values: int) -> bool:
    """False when nothing was saved. Never raises, since the message itself was handled already."""
    actions = [getattr(BreakerRecord, name).set(value) for name, value in values.items()]
    try:
        if condition is not None:
            return _row(provider).change_if(condition, actions)
        _row(provider).update(actions)
    except UpdateError as error:
        telemetry.log.warning("breaker not saved", provider=provider, error=str(error))
        return False
    return True


def _row(provider: str) -> BreakerRecord:
    """The row of a closed breaker, to be changed in the store."""
    return BreakerRecord(_PLATFORM, _key(provider))


def _key(provider: str) -> str:
    return f"breaker#{provider}"
