"""The clock of the whole process, which can be moved ahead.

Nothing is patched until the first `advance`. After it `time.time()`, `datetime` and everything that
uses them, moto included, are ahead and continue to tick; `time.monotonic()` and `time.sleep()` stay
real.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import time_machine

_lock = threading.Lock()
_journey: tuple[time_machine.travel, time_machine.Traveller] | None = None
_listeners: list[Callable[[], None]] = []
_skipped = 0.0  # seconds, the sum of all jumps of this process


def start() -> None:
    """Begins with the real time."""
    stop()


def stop() -> None:
    """Returns to the real time, and calls the listeners if that is a jump."""
    global _journey  # a process has one
    with _lock:
        journey, _journey = _journey, None
        if journey is not None:
            journey[0].stop()
    if journey is not None:
        _notify_listeners()


def advance(seconds: float) -> None:
    """Moves the clock ahead, then calls the listeners. Raises ValueError for a step back."""
    global _journey, _skipped  # noqa: PLW0603  # a process has one
    if not seconds >= 0:
        raise ValueError(f"The clock cannot go back: advance({seconds})")
    with _lock:
        _skipped += seconds
        if _journey is None:
            travel = time_machine.travel(time.time() + seconds, tick=True)
            _journey = (travel, travel.start())
        else:
            _journey[1].shift(float(seconds))
    _notify_listeners()


def now() -> datetime:
    """The time by this clock, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Like time.monotonic(), plus all skipped seconds. Never goes back, not even by `stop`."""
    return time.monotonic() + _skipped


def on_jump(callback: Callable[[], None]) -> None:
    """Calls back after every jump; registering a callback twice has no effect."""
    with _lock:
        if callback not in _listeners:
            _listeners.append(callback)


def off_jump(callback: Callable[[], None]) -> None:
    with _lock:
        if callback in _listeners:
            _listeners.remove(callback)


def _notify_listeners() -> None:
    with _lock:
        listeners = list(_listeners)
    for listener in listeners:
        listener()
