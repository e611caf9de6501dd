"""Threads deliver what arrives until they are stopped."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from chalice.app import SQSEvent

from infra.local.mapping import Mapping
from infra.local.poller import Poller
from tests.local_cloud.world import World

PATIENCE = 20  # seconds; the time limit of every wait


class Bell:
    """Wakes the pollers when a test has sent something, and counts how often they asked."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rung = threading.Condition()
        self.waits = 0

    def send(self, *bodies: str) -> None:
        with self._rung:
            self._world.send(*bodies)
            self._rung.notify_all()

    def wait(self, names: Sequence[str], seconds: float) -> Sequence[str]:
        assert names == ["parcels"]
        with self._rung:
            self.waits += 1
            ready = self._rung.wait_for(lambda: self._world.count("") > 0, seconds)
        return names if ready else []

    def wake(self) -> None:
        with self._rung:
            self._rung.notify_all()


Start = Callable[[Mapping], tuple[Poller, Bell]]


@pytest.fixture
def running(world: World) -> Iterator[Start]:
    started: list[tuple[Poller, Bell]] = []

    def start(mapping: Mapping) -> tuple[Poller, Bell]:
        bell = Bell(world)
        poller = Poller([mapping], world.sqs, bell.wait)
        started.append((poller, bell))
        poller.start()
        return poller, bell

    yield start
    for poller, bell in started:
        poller.stop(bell.wake)


def test_pollers_deliver_everything_that_is_sent_while_they_run(
    world: World, running: Start
) -> None:
    got: set[str] = set()
    everything = threading.Event()

    def taking(event: SQSEvent) -> None:
        got.update(record.body for record in event)
        if len(got) == 100:
            everything.set()

    world.answer = taking
    poller, bell = running(world.mapping())
    for number in range(100):
        bell.send(str(number))
    assert everything.wait(PATIENCE)
    poller.stop(bell.wake)
    assert world.left() == 0
    assert bell.waits < 1000  # they slept in between


def test_pollers_run_as_many_invocations_at_once_as_the_concurrency_allows(
    world: World, running: Start
) -> None:
    together = threading.Barrier(3, timeout=PATIENCE)
    world.answer = lambda event: together.wait() and None
    world.send(*"ab")
    poller, _ = running(replace(world.mapping(), batch_size=1, concurrency=2))
    together.wait()  # passes only when both are inside
    poller.stop()
    assert (world.left(), world.errors) == (0, [])


def test_stopping_waits_for_the_invocation_under_way_and_begins_no_other(
    world: World, running: Start
) -> None:
    inside, may_end = threading.Event(), threading.Event()

    def slow(event: SQSEvent) -> None:
        inside.set()
        assert may_end.wait(PATIENCE)

    world.answer = slow
    world.send(*"abc")
    poller, _ = running(replace(world.mapping(), batch_size=1, concurrency=1))
    assert inside.wait(PATIENCE)
    stopping = threading.Thread(target=poller.stop)
    stopping.start()
    assert stopping.is_alive()
    may_end.set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert (len(world.events), world.left()) == (1, 2)


def test_pollers_go_on_after_a_function_raised(world: World, running: Start) -> None:
    second = threading.Event()

    def first_raises(event: SQSEvent) -> None:
        if len(world.events) == 1:
            raise LookupError("the first one")
        second.set()

    world.answer = first_raises
    _, bell = running(replace(world.mapping(), batch_size=1, concurrency=1))
    bell.send("a")
    bell.send("b")
    assert second.wait(PATIENCE)
    assert [type(error) for error in world.errors] == [LookupError]


def test_pollers_without_a_bell_long_poll(world: World) -> None:
    got = threading.Event()
    world.answer = lambda event: got.set()
    poller = Poller([replace(world.mapping(), concurrency=1)], world.sqs)
    poller.start()
    world.send("a")
    assert got.wait(PATIENCE)
    poller.stop()
    assert world.left() == 0


def test_stopping_does_not_wait_for_those_who_wait_for_a_message(world: World) -> None:
    asleep, woken = threading.Event(), threading.Event()

    def sleep(names: Sequence[str], seconds: float) -> Sequence[str]:
        asleep.set()
        woken.wait(PATIENCE)
        return []

    poller = Poller([replace(world.mapping(), concurrency=1)], world.sqs, sleep)
    poller.start()
    assert asleep.wait(PATIENCE)
    before = time.monotonic()
    poller.stop(woken.set)
    assert time.monotonic() - before < 1
