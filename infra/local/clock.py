"""The time of the whole process, moved ahead at will.

Until the first `advance` nothing is patched and nothing costs. After it `time.time()`, `datetime`
and everything that stands on them, moto included, are ahead and keep ticking; `time.monotonic()`
and `time.sleep()` stay real.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import time_machine

_lock = threading.Lock()
_journey: tuple[time_machine.travel, time_machine.Traveller] | None = None
_listeners: list[Callable[[], None]] = []
_skipped = 0.0  # seconds that were moved ahead, ever


def start() -> None:
    """Real time, whatever was before."""
    stop()


def stop() -> None:
    """Back to real time; listeners hear of it if that is a jump."""
    global _journey  # there is one in a process
    with _lock:
        journey, _journey = _journey, None
        if journey is not None:
            journey[0].stop()
    if journey is not None:
        _tell_listeners()


def advance(seconds: float) -> None:
    """Move ahead, then tell the listeners. ValueError for a step back."""
    global _journey, _skipped  # noqa: PLW0603  # there is one in a process
    if not seconds >= 0:
        raise ValueError(f"The clock cannot go back: advance({seconds})")
    with _lock:
        _skipped += seconds
        if _journey is None:
            travel = time_machine.travel(time.time() + seconds, tick=True)
            _journey = (travel, travel.start())
        else:
            _journey[1].shift(float(seconds))
    _tell_listeners()


def now() -> datetime:
    """The moved time, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that went by or were skipped, since some moment; never back, not even by `stop`."""
    return time.monotonic() + _skipped


def on_jump(callback: Callable[[], None]) -> None:
    """Call back after each jump, once however often it is registered."""
    with _lock:
        if callback not in _listeners:
            _listeners.append(callback)


def off_jump(callback: Callable[[], None]) -> None:
    with _lock:
        if callback in _listeners:
            _listeners.remove(callback)


def _tell_listeners() -> None:
    with _lock:
        listeners = list(_listeners)
    for listener in listeners:
        listener()
