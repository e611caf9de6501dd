"""Circuit breaker per provider: while SES or SNS is down it is left alone, apart from one probe.

Closed: calls go through; `breaker_failures` in a row on one instance open it. Open: nobody calls
until `open_until`; each further failure doubles the pause. Then one worker, by a conditional
write, probes while the others wait; its success closes the breaker for all. An instance reads the
state at most every few seconds. (Nygard, "Release It!", 2nd ed. 2018, ch. 5.)
"""

import threading
import time
from dataclasses import dataclass

from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.errors import Retry
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import KernelRecord

_PLATFORM = "#platform"  #: partition of what belongs to no tenant
_READ_EVERY_SECONDS = 2
_PROBE_SECONDS = 15  #: how long a probe may take before another one is sent
_LONGEST_PAUSE_SECONDS = 300


class BreakerRecord(KernelRecord):
    """Row of a provider's breaker: keys ("#platform", "breaker#" + provider)."""

    open_until = NumberAttribute(default=0)  #: epoch seconds; 0: closed
    pause_seconds = NumberAttribute(default=0)


@dataclass
class _Seen:
    """What this instance knows of one provider."""

    read_at: float = float("-inf")
    open_until: int = 0
    pause_seconds: int = 0
    failures: int = 0


_seen: dict[str, _Seen] = {}
_lock = threading.Lock()


def forget() -> None:
    """Drops what this instance knows."""
    _seen.clear()


def admit(provider: str) -> None:
    """Returns when the provider may be called now; raises Retry, uncharged, when it may not."""
    seen = _state(provider)
    if not seen.open_until:
        return
    now = clock.epoch_seconds()
    if seen.open_until > now:
        raise Retry(f"{provider} is down", after_seconds=seen.open_until - now)
    if not _take_probe(provider, seen, now):
        raise Retry(f"{provider} is being tried by another worker", after_seconds=_PROBE_SECONDS)


def succeeded(provider: str) -> None:
    """The provider answered; an open breaker closes for all."""
    seen = _seen.setdefault(provider, _Seen())
    seen.failures = 0
    if seen.open_until:
        _row(provider).update([BreakerRecord.open_until.set(0), BreakerRecord.pause_seconds.set(0)])
        telemetry.log.warning("breaker closed", provider=provider)
        seen.open_until = seen.pause_seconds = 0


def failed(provider: str) -> None:
    """The provider was down; enough of it in a row opens the breaker for all."""
    seen = _seen.setdefault(provider, _Seen())
    seen.failures += 1
    if not seen.open_until and seen.failures < settings.breaker_failures:
        return
    first = settings.breaker_pause_seconds
    pause = min(seen.pause_seconds * 2 or first, _LONGEST_PAUSE_SECONDS)
    until = clock.epoch_seconds() + pause
    _row(provider).update(
        [BreakerRecord.open_until.set(until), BreakerRecord.pause_seconds.set(pause)]
    )
    seen.open_until, seen.pause_seconds = until, pause
    telemetry.log.error("breaker open", provider=provider, pause_seconds=pause)
    telemetry.emit({"breaker_opened": 1}, provider=provider)


def _state(provider: str) -> _Seen:
    with _lock:
        seen = _seen.setdefault(provider, _Seen())
        if time.monotonic() - seen.read_at < _READ_EVERY_SECONDS and not seen.open_until:
            return seen
        with telemetry.configuration():
            try:
                row = BreakerRecord.get(_PLATFORM, f"breaker#{provider}")
                seen.open_until = int(row.open_until)
                seen.pause_seconds = int(row.pause_seconds)
            except DoesNotExist:
                seen.open_until = seen.pause_seconds = 0
        seen.read_at = time.monotonic()
        return seen


def _take_probe(provider: str, seen: _Seen, now: int) -> bool:
    """Of all workers one wins: it moves the end of the pause on, from the end that was seen."""
    try:
        _row(provider).update(
            [BreakerRecord.open_until.set(now + _PROBE_SECONDS)],
            condition=BreakerRecord.open_until == seen.open_until,
        )
    except UpdateError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _row(provider: str) -> BreakerRecord:
    return BreakerRecord(_PLATFORM, f"breaker#{provider}")
