"""Virtual time, and actors in threads of which exactly one runs at a time.

An actor runs until it pauses; then the one whose moment comes first goes on. Nothing here looks at
the real clock, so the order is decided by the seed alone. A process is what an actor runs the
application in: it has memory of its own and a clock that is off by some seconds.
"""

import hashlib
import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import time_machine

START = 1_767_225_600.0  #: the first moment of each run, 2026-01-01
SKEW_SECONDS = 30.0  #: most by which the clocks of two processes differ

_real_sleep, _real_monotonic = time.sleep, time.monotonic


class Crash(BaseException):
    """The process is dead: nothing of it runs on, its memory is gone."""


class Over(BaseException):
    """The run has ended."""


#: A process's memory: the module (or object), the attribute, and what it is at first.
Memory = tuple[Any, str, Callable[[], Any]]


@dataclass(eq=False)
class Process:
    """What an actor runs the application in."""

    name: str
    offset: float = 0.0  #: seconds by which its clock is off
    spared: bool = False  #: True: no faults happen to it
    ends_at: float = float("inf")  #: when Lambda kills it
    tenant: str | None = None  #: whose keys it may touch now; None: all
    memory: dict[int, Any] = field(default_factory=dict)
    unmarked: str | None = None  #: the job whose message it has sent and not yet marked
    troubled: bool = False  #: something happened to it since
    working: str | None = None  #: the job whose message it works on
    stood_still: bool = False  #: longer than Lambda lets it run
    let_go: bool = False  #: what it keeps was seen again while it waited for an answer
    tokens: set[str] = field(default_factory=set)  #: of its claims for these messages
    kept: list[str] = field(default_factory=list)  #: messages of this batch that shall come back

    def forget(self, offset: float) -> None:
        """As a new process begins."""
        self.memory.clear()
        self.tokens.clear()
        self.offset, self.tenant, self.ends_at = offset, None, float("inf")


class Actor:
    """A thread that runs only when it has the baton."""

    def __init__(self, world: "World", name: str, play: Callable[[], None]) -> None:
        self.name = name
        self.process: Process | None = None
        self.ticket = 0  #: of its newest place in the line; older ones are void
        self.baton = threading.Semaphore(0)
        self.thread = threading.Thread(target=world._play, args=[self, play], daemon=True)


class World:
    """One run of one seed."""

    def __init__(self, seed: int, memory: tuple[Memory, ...] = ()) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = START
        self.current: Actor | None = None
        self.error: BaseException | None = None
        self.lines: list[str] = []  #: the trace
        self._memory = memory
        self._line: list[tuple[float, int, Actor, int]] = []
        self._serial = itertools.count()
        self._actors: list[Actor] = []
        self._all_done = threading.Semaphore(0)
        self.over = False

    # -- time ---------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._journey = time_machine.travel(START, tick=False)
        self._traveller = self._journey.start()
        time.sleep = self.sleep
        time.monotonic = lambda: self.now
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep, time.monotonic = _real_sleep, _real_monotonic
        self._journey.stop()

    def set_clock(self, offset: float = 0.0) -> None:
        """What `time.time` and `datetime` say from here on."""
        self._traveller.move_to(self.now + offset)

    def sleep(self, seconds: float) -> None:
        """Stands for `time.sleep`."""
        self.pause(seconds)

    # -- actors -------------------------------------------------------------------------------

    def spawn(self, name: str, play: Callable[[], None], *, after: float = 0.0) -> Actor:
        actor = Actor(self, name, play)
        self._actors.append(actor)
        self._enqueue(actor, after)
        actor.thread.start()
        return actor

    def run(self) -> None:
        """Until an actor calls `end` or raises; raises what it raised."""
        self._hand_on()
        self._all_done.acquire()
        self.over = True
        for actor in self._actors:  # one by one, as ever
            self.current = actor
            actor.baton.release()
            actor.thread.join()
        self.current = None
        self.set_clock()
        if self.error is not None:
            raise self.error

    def end(self) -> None:
        """Ends the run; called by an actor."""
        raise Over

    def pause(self, seconds: float) -> None:
        """The running actor goes on after so many seconds; others go on meanwhile."""
        actor = self.current
        if actor is None:
            return
        if self.over:
            raise Over
        self._leave(actor)
        self._enqueue(actor, seconds)
        if self._hand_on(actor):
            actor.baton.acquire()
        if self.over:
            raise Over
        self._enter(actor)

    def wake(self, actor: Actor, seconds: float = 0.0) -> None:
        """An actor that pauses goes on already now."""
        self._enqueue(actor, seconds)

    def _enqueue(self, actor: Actor, seconds: float) -> None:
        actor.ticket += 1
        entry = (self.now + max(0.0, seconds), next(self._serial), actor, actor.ticket)
        heapq.heappush(self._line, entry)

    def _hand_on(self, giver: Actor | None = None) -> bool:
        """Gives the baton to whoever is next; False when that is the giver itself."""
        while True:
            at, _, actor, ticket = heapq.heappop(self._line)
            if ticket == actor.ticket:
                break
        self.now = max(self.now, at)
        self.current = actor
        if actor is giver:
            return False
        actor.baton.release()
        return True

    def _play(self, actor: Actor, play: Callable[[], None]) -> None:
        actor.baton.acquire()
        try:
            if self.over:
                return
            self._enter(actor)
            play()
        except Over:
            pass
        except BaseException as error:  # noqa: BLE001  handed to the thread that waits in `run`
            self.error = self.error or error
        else:
            if not self.over and self._others_wait(actor):
                self._hand_on()
                return
        if not self.over:
            self.over = True
            self._all_done.release()

    def _others_wait(self, actor: Actor) -> bool:
        actor.ticket += 1
        return any(entry[3] == entry[2].ticket for entry in self._line)

    # -- processes ----------------------------------------------------------------------------

    def skew(self) -> float:
        """By how much a new process's clock is off."""
        most = SKEW_SECONDS / 2
        return self.random.choice((-most, most, self.random.uniform(-most, most)))

    def inside(self, process: Process | None) -> None:
        """From here on the running actor is in this process, or in none."""
        actor = self.current
        if actor is None:
            raise RuntimeError("only an actor can be in a process")
        self._leave(actor)
        actor.process = process
        self._enter(actor)

    def _leave(self, actor: Actor) -> None:
        if actor.process is not None:
            for number, (owner, name, _) in enumerate(self._memory):
                actor.process.memory[number] = getattr(owner, name)

    def _enter(self, actor: Actor) -> None:
        if actor.process is None:
            self.set_clock()
            return
        known = actor.process.memory
        for number, (owner, name, fresh) in enumerate(self._memory):
            setattr(owner, name, known[number] if number in known else fresh())
        self.set_clock(actor.process.offset)

    # -- the trace ----------------------------------------------------------------------------

    def note(self, *words: object) -> None:
        who = self.current.name if self.current else "-"
        self.lines.append(f"{self.now - START:10.3f} {who:10} {' '.join(map(str, words))}")

    @property
    def digest(self) -> str:
        """The same for the same course of events."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]
