"""What an instance remembers: for how long, loaded by one thread at a time, and how it forgets."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from chalicelib.kernel import cache
from chalicelib.kernel.cache import Cache

PATIENCE_SECONDS = 10


class Clock:
    """Stands for `time.monotonic`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(cache, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


class Store:
    """What a cache loads from; `reads` are the keys that were asked for."""

    def __init__(self, **values: str | None) -> None:
        self.values = values
        self.reads: list[str] = []
        self.during_read: Callable[[], None] = lambda: None

    def read(self, key: str) -> str | None:
        self.reads.append(key)
        value = self.values.get(key)
        self.during_read()
        return value

    def cached(
        self, *, keep_seconds: float = 60, max_entries: int = 100
    ) -> "Cache[str, str | None]":
        return Cache(self.read, keep_seconds=lambda: keep_seconds, max_entries=max_entries)


class Doorman:
    """Holds a load open until it is let go on."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.may_leave = threading.Event()

    def __call__(self) -> None:
        self.entered.release()
        assert self.may_leave.wait(PATIENCE_SECONDS)

    def await_entry(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE_SECONDS)


def test_a_value_is_loaded_once_until_its_time_is_over(clock: Clock) -> None:
    store = Store(a="1")
    remembered = store.cached(keep_seconds=60)

    assert remembered.get("a") == "1"
    store.values["a"] = "2"
    clock.now += 59
    assert remembered.get("a") == "1"
    clock.now += 1
    assert remembered.get("a") == "2"
    assert store.reads == ["a", "a"]


def test_how_long_values_are_kept_is_asked_at_each_look_up(clock: Clock) -> None:
    store, kept = Store(a="1"), SimpleNamespace(seconds=60)
    remembered = Cache(store.read, keep_seconds=lambda: kept.seconds)
    remembered.get("a")
    clock.now += 30

    kept.seconds = 20
    remembered.get("a")
    assert store.reads == ["a", "a"]


def test_a_value_is_as_old_as_the_beginning_of_its_load(clock: Clock) -> None:
    store = Store(a="1")
    remembered = store.cached(keep_seconds=60)

    def take_long() -> None:
        clock.now += 50

    store.during_read = take_long
    remembered.get("a")
    clock.now += 20
    remembered.get("a")

    assert store.reads == ["a", "a"]


def test_what_is_missing_is_asked_for_again_at_once() -> None:
    store = Store()
    remembered = store.cached()

    assert remembered.get("a") is None
    store.values["a"] = "1"
    assert remembered.get("a") == "1"


def at_once(calls: int, call: Callable[[], str | None]) -> list[Future[str | None]]:
    """The answers to come of so many calls, each in a thread of its own."""
    threads = ThreadPoolExecutor(calls)
    answers = [threads.submit(call) for _ in range(calls)]
    threads.shutdown(wait=False)
    return answers


def values_of(answers: list[Future[str | None]]) -> list[str | None]:
    return [answer.result(PATIENCE_SECONDS) for answer in answers]


def test_of_many_threads_one_loads_and_the_others_get_its_value() -> None:
    store, doorman = Store(a="1"), Doorman()
    store.during_read = doorman
    remembered = store.cached()

    answers = at_once(8, lambda: remembered.get("a"))
    doorman.await_entry()
    assert not any(answer.done() for answer in answers)
    doorman.may_leave.set()

    assert values_of(answers) == ["1"] * 8
    assert store.reads == ["a"]


def test_a_slow_load_of_one_key_holds_up_no_other() -> None:
    store, doorman = Store(slow="1", quick="2"), Doorman()
    store.during_read = doorman
    remembered = store.cached()

    slow = at_once(1, lambda: remembered.get("slow"))
    doorman.await_entry()
    store.during_read = lambda: None
    assert remembered.get("quick") == "2"
    doorman.may_leave.set()

    assert values_of(slow) == ["1"]


def test_a_load_that_fails_keeps_nothing_and_the_next_caller_tries_again() -> None:
    store = Store(a="1")
    remembered = store.cached()

    def fail() -> None:
        raise OSError("down")

    store.during_read = fail
    with pytest.raises(OSError, match="down"):
        remembered.get("a")
    store.during_read = lambda: None

    assert remembered.get("a") == "1"


def test_whoever_waits_for_a_load_that_fails_loads_itself() -> None:
    store, doorman = Store(a="1"), Doorman()
    remembered = store.cached()

    def fail_once_let_go() -> None:
        store.during_read = lambda: None
        doorman()
        raise OSError("down")

    store.during_read = fail_once_let_go
    (failing,) = at_once(1, lambda: remembered.get("a"))
    doorman.await_entry()
    waiting = at_once(4, lambda: remembered.get("a"))
    doorman.may_leave.set()

    with pytest.raises(OSError, match="down"):
        failing.result(PATIENCE_SECONDS)
    assert values_of(waiting) == ["1"] * 4
    assert store.reads == ["a", "a"]


def test_one_value_is_forgotten_or_all() -> None:
    store = Store(a="1", b="2")
    remembered = store.cached()
    for key in ("a", "b"):
        remembered.get(key)

    remembered.forget("a")
    for key in ("a", "b"):
        remembered.get(key)
    assert store.reads == ["a", "b", "a"]

    remembered.forget()
    for key in ("a", "b"):
        remembered.get(key)
    assert store.reads == ["a", "b", "a", "a", "b"]


def test_forgetting_all_empties_every_cache_of_the_process() -> None:
    first, second = Store(a="1"), Store(a="2")
    caches = [first.cached(), second.cached()]
    for remembered in caches:
        remembered.get("a")

    cache.forget_all()
    for remembered in caches:
        remembered.get("a")
    assert (first.reads, second.reads) == (["a", "a"], ["a", "a"])


def test_a_value_that_is_forgotten_while_it_is_loaded_is_not_kept() -> None:
    store = Store(a="old")
    remembered = store.cached()

    def change() -> None:
        store.values["a"] = "new"
        remembered.forget("a")

    store.during_read = change
    assert remembered.get("a") == "old"
    store.during_read = lambda: None
    assert remembered.get("a") == "new"


def test_a_value_counts_only_for_the_version_it_was_loaded_under() -> None:
    store = Store(a="1")
    remembered = store.cached()
    assert [remembered.get("a", version=7) for _ in range(2)] == ["1", "1"]

    store.values["a"] = "2"
    assert [remembered.get("a", version=8) for _ in range(2)] == ["2", "2"]
    assert store.reads == ["a", "a"]


def test_a_thread_with_a_newer_version_does_not_take_the_value_of_an_older_load() -> None:
    store, doorman = Store(a="old"), Doorman()
    store.during_read = doorman
    remembered = store.cached()
    older = at_once(1, lambda: remembered.get("a", version=1))
    doorman.await_entry()

    store.values["a"], store.during_read = "new", lambda: None
    newer = at_once(1, lambda: remembered.get("a", version=2))
    doorman.may_leave.set()

    assert (values_of(older), values_of(newer)) == (["old"], ["new"])


def test_beyond_its_bound_the_value_loaded_first_is_dropped() -> None:
    store = Store(a="1", b="2", c="3")
    remembered = store.cached(max_entries=2)
    for key in ("a", "b", "c", "b", "c"):
        remembered.get(key)
    assert store.reads == ["a", "b", "c"]

    remembered.get("a")
    assert store.reads == ["a", "b", "c", "a"]
