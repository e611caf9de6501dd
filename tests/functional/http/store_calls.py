"""The app's own calls of DynamoDB, watched or broken off where botocore makes them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

PATIENCE = 10
When = Literal["before-call", "after-call"]


class Killed(BaseException):
    """What the end of a process looks like to each of its threads."""


@dataclass
class Process:
    """A worker process that is killed at its nth call of an operation."""

    operation: str
    nth: int
    when: When
    calls: int = 0
    dead: bool = False
    _lock: Any = field(default_factory=threading.Lock)

    def at_call(self, model: Any, **_: Any) -> None:
        if not _is_a_workers():
            return
        with self._lock:
            self.calls += model.name == self.operation
            self.dead = self.dead or self.calls >= self.nth
        if self.dead:
            raise Killed

    def after_death(self, **_: Any) -> None:
        if self.dead and _is_a_workers():
            raise Killed


def _is_a_workers() -> bool:
    """A job's thread, or the test's own, which invokes the worker's function. The API runs in other
    processes, which live on.
    """
    now = threading.current_thread()
    return now is threading.main_thread() or now.name.startswith("job")


@contextmanager
def killed_at(operation: str, nth: int, when: When = "before-call") -> Iterator[Process]:
    """Inside, every thread of a worker ends at the nth such call, or just after DynamoDB did it.

    No call gets through after that: nothing can be tidied up.
    """
    process = Process(operation, nth, when)
    with hooked(f"{when}.dynamodb", process.at_call):
        if when == "before-call":
            yield process
        else:
            with hooked("before-call.dynamodb", process.after_death):
                yield process


@contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    """All that is asked of DynamoDB and all that it answers: (operation, parameters or answer)."""
    seen: list[tuple[str, Any]] = []

    def asked(params: Any, model: Any, **_: Any) -> None:
        seen.append((model.name, params))

    def answered(parsed: Any, model: Any, **_: Any) -> None:
        seen.append((model.name, parsed))

    with (
        hooked("before-parameter-build.dynamodb", asked),
        hooked("after-call.dynamodb", answered),
    ):
        yield seen


@contextmanager
def just_before(operation: str, do: Callable[[], object]) -> Iterator[None]:
    """Inside, `do` is done once, when the next such call of DynamoDB is about to be sent."""
    left = [do]

    def interrupt(**_: Any) -> None:
        while left:
            left.pop()()

    with hooked(f"before-call.dynamodb.{operation}", interrupt):
        yield


@contextmanager
def met_at(operation: str, threads: int) -> Iterator[None]:
    """Inside, the first threads that are about to send such a call wait for each other, once."""
    met = threading.Event()
    meeting = threading.Barrier(threads, met.set, timeout=PATIENCE)

    def wait(**_: Any) -> None:
        if not met.is_set():
            meeting.wait()

    with hooked(f"before-call.dynamodb.{operation}", wait):
        yield


@contextmanager
def hooked(event: str, handler: Any) -> Iterator[None]:
    from chalicelib.kernel import aws

    events = aws.client(event.split(".")[1]).meta.events
    events.register(event, handler)
    try:
        yield
    finally:
        events.unregister(event, handler)
