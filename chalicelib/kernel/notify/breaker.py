"""Circuit breaker per provider: while SES or SNS is down it is left alone, apart from one probe.

Closed: calls go through; `breaker_failures` in a row on one instance open it. Open: nobody calls
until `open_until`. Then one worker, by a conditional write, probes while the others wait; its
success closes the breaker for all, its failure doubles the pause. An instance reads the state at
most every few seconds. (Nygard, "Release It!", 2nd ed. 2018, ch. 5.)

So an outage costs each instance at most the calls that open the breaker, those under way beside
them, and what it calls in `_READ_EVERY_SECONDS`; after that one call a pause in all.
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
_PROBE_SECONDS = 15  #: how long a probe may take before another one is sent
_LONGEST_PAUSE_SECONDS = 300


class BreakerRecord(KernelRecord):
    """Row of a provider's breaker: keys ("#platform", "breaker#" + provider)."""

    open_until = Number(default=0)  #: epoch seconds; 0: closed
    pause_seconds = Number(default=0)


class _Seen(msgspec.Struct):
    """What this instance knows of one provider."""

    read_at: float = float("-inf")
    open_until: int = 0
    pause_seconds: int = 0
    failures: int = 0
    probing: bool = False  #: the call under way is the probe


_seen: dict[str, _Seen] = {}
_lock = threading.Lock()


def forget() -> None:
    """Drops what this instance knows."""
    _seen.clear()


def admit(provider: str) -> None:
    """Returns when the provider may be called now; raises Retry, uncharged, when it may not."""
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
    """The provider answered; an open breaker closes for all."""
    seen = _seen.setdefault(provider, _Seen())
    seen.failures, seen.probing = 0, False
    if seen.open_until and _save(provider, open_until=0, pause_seconds=0):
        telemetry.log.warning("breaker closed", provider=provider)
        seen.open_until = seen.pause_seconds = 0


def failed(provider: str) -> int | None:
    """The provider was down; enough of it in a row opens the breaker for all.

    Returns the seconds until the next probe, None while the breaker is closed.
    """
    seen = _seen.setdefault(provider, _Seen())
    with _lock:
        seen.failures += 1
        probed, seen.probing = seen.probing, False
    if probed:
        _open(provider, seen, min(seen.pause_seconds * 2, _LONGEST_PAUSE_SECONDS))
    elif not seen.open_until and seen.failures >= settings.breaker_failures:
        closed = BreakerRecord.open_until.does_not_exist() | (BreakerRecord.open_until == 0)
        _open(provider, seen, settings.breaker_pause_seconds, closed)
    return max(0, seen.open_until - clock.epoch_seconds()) if seen.open_until else None


def _open(
    provider: str, seen: _Seen, pause_seconds: int, condition: Condition | None = None
) -> None:
    until = clock.epoch_seconds() + pause_seconds
    if _save(provider, condition, open_until=until, pause_seconds=pause_seconds):
        seen.open_until, seen.pause_seconds = until, pause_seconds
        telemetry.log.error("breaker open", provider=provider, pause_seconds=pause_seconds)
        telemetry.emit({"breaker_opened": 1}, provider=provider)
    else:
        seen.read_at = float("-inf")  # another was faster: see what it wrote


def _open_until(provider: str) -> int:
    """The end of the pause, 0 for a closed breaker: what this call shall act on."""
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
    """Of all workers one wins: it moves the end of the pause on, from the end that was seen."""
    unchanged = BreakerRecord.open_until == open_until
    return _row(provider).change_if(unchanged, [BreakerRecord.open_until.set(now + _PROBE_SECONDS)])


def _save(provider: str, condition: Condition | None = None, /, **values: int) -> bool:
    """False when it did not happen. Never raises: a message that was sent stays a message sent."""
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
    """A closed breaker's row, to be changed."""
    return BreakerRecord(_PLATFORM, _key(provider))


def _key(provider: str) -> str:
    return f"breaker#{provider}"
