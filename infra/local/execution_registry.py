"""The executions of state machines that run, and which of them are busy at this moment.

An execution is busy while one of its threads is in a task or between two states. It rests while all
of them wait for a time of the local clock: for a back-off to end, or in a Wait state.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from infra.local import clock
from infra.local.waits import changed

SETTLE_SECONDS = 300  # an execution that is busy for longer counts as stuck


@dataclass(eq=False)
class _Sleeper:
    until: float  #: by clock.monotonic()
    environment: Any  #: moto's; knows whether its execution still runs


@dataclass(eq=False)
class _Run:
    execution: Any
    busy: int = 1  #: threads that neither sleep nor wait for threads of the same execution
    sleepers: list[_Sleeper] = field(default_factory=list)


_runs: dict[str, _Run] = {}
_ended: Counter[str] = Counter()
_begun = 0
_listeners: list[Callable[[Any], None]] = []


def on_end(callback: Callable[[Any], None]) -> None:
    """Calls back with every execution that has ended, in the execution's own thread."""
    _listeners.append(callback)


def off_end(callback: Callable[[Any], None]) -> None:
    _listeners.remove(callback)


def begin(execution: Any) -> None:
    global _begun  # noqa: PLW0603  # a process has one count
    with changed:
        _runs[execution.exec_arn] = _Run(execution)
        _begun += 1


def end(execution: Any) -> None:
    """Counts the execution as ended, with its status."""
    for listener in tuple(_listeners):
        listener(execution)
    with changed:
        if _runs.pop(execution.exec_arn, None):
            _ended[execution.status] += 1
        changed.notify_all()


def forget_ended() -> None:
    with changed:
        _ended.clear()


def begun() -> int:
    """How many executions have begun so far."""
    return _begun


def under_way() -> list[Any]:
    """The executions that have not ended."""
    with changed:
        return [run.execution for run in _runs.values()]


def ended() -> Counter[str]:
    """How many have ended, by status."""
    with changed:
        return Counter(_ended)


def arn_of(environment: Any) -> str:
    """The ARN of the execution that moto evaluates in this environment."""
    return str(environment.states.context_object.context_object_data["Execution"]["Id"])


def count_busy(arn: str, threads: int) -> None:
    """Adds to the execution's busy threads; a negative number subtracts."""
    with changed:
        if run := _runs.get(arn):
            run.busy += threads
            changed.notify_all()


def sleep(environment: Any, seconds: float) -> None:
    """Returns after so many seconds of the local clock, or when the execution ends."""
    sleeper = _Sleeper(clock.monotonic() + seconds, environment)
    with changed:
        run = _runs.get(arn_of(environment))
        if run is None:
            return
        run.sleepers.append(sleeper)
        run.busy -= 1
        changed.notify_all()
        while sleeper in run.sleepers:
            if not wake_due():
                changed.wait(sleeper.until - clock.monotonic())


def wake_due() -> bool:
    """Ends every sleep that is over; returns whether there was one.

    The sleepers count as busy from here on, not only when their threads run again: otherwise their
    executions would seem to rest in between.
    """
    woken = 0
    with changed:
        now = clock.monotonic()
        for run in _runs.values():
            awake = [s for s in run.sleepers if s.until <= now or not s.environment.is_running()]
            run.sleepers = [sleeper for sleeper in run.sleepers if sleeper not in awake]
            run.busy += len(awake)
            woken += len(awake)
        changed.notify_all()
    return woken > 0


def rest() -> float | None:
    """Waits until no execution is busy; returns the seconds until one continues, None if none."""
    with changed:
        if not changed.wait_for(_none_is_busy, SETTLE_SECONDS):
            raise RuntimeError(f"executions still busy after {SETTLE_SECONDS} s: {list(_runs)}")
        times = [sleeper.until for run in _runs.values() for sleeper in run.sleepers]
        return max(0.0, min(times) - clock.monotonic()) if times else None


def _none_is_busy() -> bool:
    return all(run.busy <= 0 for run in _runs.values())
