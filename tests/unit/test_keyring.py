"""The keys that one instance knows: how long, which of them signs, and what happens if it fails."""

import json
import threading
from collections.abc import Callable, Iterator

import pytest
import time_machine
from msgspec.structs import replace
from time_machine import Traveller

from chalicelib.kernel import keyring, telemetry
from chalicelib.kernel.errors import Unavailable
from chalicelib.kernel.keyring import Ring, Unreadable
from infra.ops import keys as rotation

NOW = 1_796_000_000
WEEK = 7 * 86_400


@pytest.fixture
def clock() -> Iterator[Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


class Parameter:
    """What SSM holds, or why it cannot be read, and how often it was asked for."""

    def __init__(self, value: str | None) -> None:
        self.value = value
        self.reads = 0

    def __call__(self) -> str:
        self.reads += 1
        if self.value is None:
            raise Unreadable("refused")
        return self.value


@pytest.mark.parametrize(
    ("keys", "signs"),
    [
        (("only",), "only"),
        (("first", "second"), "first"),
        ((f"{NOW}:new", "old"), "old"),
        ((f"{NOW - 599}:new", "old"), "old"),
        ((f"{NOW - 600}:new", "old"), f"{NOW - 600}:new"),
        ((f"{NOW}:newer", f"{NOW - 700}:new", "old"), f"{NOW - 700}:new"),
        ((f"{NOW}:only-and-new",), f"{NOW}:only-and-new"),
        ((f"{NOW + 60}:of-a-fast-clock", f"{NOW - 5}:new"), f"{NOW - 5}:new"),
        (("123:no-time-but-a-key", "old"), "123:no-time-but-a-key"),
    ],
)
def test_a_key_signs_when_it_is_ten_minutes_old(keys: tuple[str, ...], signs: str) -> None:
    assert keyring.signing_one(keys, NOW) == signs


def test_every_instance_keeps_its_keys_for_another_time_between_four_and_six_minutes() -> None:
    kept = {keyring._new_ring(lambda: "key")._keep_seconds for _ in range(200)}

    assert len(kept) > 100
    assert 240 <= min(kept) < 250
    assert 350 < max(kept) <= 360
    assert max(kept) + keyring.RETRY_SECONDS < keyring.SIGNS_AFTER_SECONDS


def test_keys_are_read_again_when_their_time_is_over(clock: Traveller) -> None:
    parameter = Parameter("one")
    ring = Ring(parameter, 300)
    assert ring.keys() == ("one",)

    parameter.value = "two, one"
    clock.move_to(NOW + 299)
    assert (ring.keys(), parameter.reads) == (("one",), 1)
    clock.move_to(NOW + 300)
    assert (ring.keys(), parameter.reads) == (("two", "one"), 2)


def test_keys_are_read_again_when_the_clock_went_back(clock: Traveller) -> None:
    parameter = Parameter("one")
    ring = Ring(parameter, 300)
    ring.keys()

    clock.move_to(NOW - 3600)
    ring.keys()
    assert parameter.reads == 2


@pytest.mark.parametrize("value", [None, " , "])
def test_the_old_keys_go_on_while_they_cannot_be_read_again(
    clock: Traveller, value: str | None
) -> None:
    parameter = Parameter("one")
    ring = Ring(parameter, 300)
    ring.keys()
    parameter.value = value

    for second in range(300, 4000):
        clock.move_to(NOW + second)
        assert ring.keys() == ("one",)
    assert parameter.reads == 1 + len(range(300, 4000, keyring.RETRY_SECONDS))

    parameter.value = "two,one"
    clock.move_to(NOW + 4030)
    assert ring.keys() == ("two", "one")


def test_how_long_it_has_failed_is_told_each_time(
    clock: Traveller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = replace(telemetry.settings, stage="dev")
    monkeypatch.setattr(telemetry, "settings", deployed)
    parameter = Parameter("one")
    ring = Ring(parameter, 300)
    for second, value in ((0, "one"), (400, None), (4000, None), (4300, "one"), (4700, None)):
        parameter.value = value
        clock.move_to(NOW + second)
        ring.keys()

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    metrics = [line["keys_failing_seconds"] for line in lines if "_aws" in line]
    assert metrics == [[0.0], [3600.0], [0.0]]


def test_without_any_key_every_second_one_caller_tries_and_all_are_refused(
    clock: Traveller,
) -> None:
    parameter = Parameter(None)
    ring = Ring(parameter, 300)
    for _ in range(5):
        with pytest.raises(Unavailable) as refused:
            ring.keys()
        assert refused.value.headers == {"Retry-After": "1"}
    assert parameter.reads == 1

    parameter.value = "one"
    clock.shift(1.0)
    assert ring.keys() == ("one",)


def test_a_missing_key_is_possible_ten_minutes_after_the_last_good_read(clock: Traveller) -> None:
    parameter = Parameter("one")
    ring = Ring(parameter, 300)
    ring.keys()
    parameter.value = None

    for second, may in ((0, False), (300, False), (600, False), (601, True)):
        clock.move_to(NOW + second)
        ring.keys()
        assert ring.may_lack_a_key() is may


class Slow(Parameter):
    """Answers when it is let."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.begun, self.let = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.let.wait(10)
        return super().__call__()


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_while_one_thread_reads_the_others_go_on_with_the_old_keys() -> None:
    parameter = Slow("one")
    parameter.let.set()
    ring = Ring(parameter, 0)  # due at once
    ring.keys()
    parameter.begun.clear()
    parameter.let.clear()
    parameter.value = "two"

    reader = in_thread(ring.keys)
    assert parameter.begun.wait(10)
    assert ring.keys() == ("one",)
    parameter.let.set()
    reader.join(10)
    assert parameter.reads == 2


def test_the_first_keys_are_read_once_for_all_threads_that_wait() -> None:
    parameter, found = Slow("one"), []
    ring = Ring(parameter, 300)

    threads = [in_thread(lambda: found.append(ring.keys())) for _ in range(8)]
    assert parameter.begun.wait(10)
    parameter.let.set()
    for thread in threads:
        thread.join(10)
    assert found == [("one",)] * 8
    assert parameter.reads == 1


@pytest.mark.parametrize(
    ("ages", "kept"),
    [
        ([None], 1),
        ([None, None], 2),
        ([WEEK, None], 2),
        ([WEEK + 86_400 + 599, None], 2),
        ([WEEK + 86_400 + 600, None], 1),
        ([0, 2 * WEEK, 4 * WEEK, None], 2),
        ([0, WEEK, 4 * WEEK, None], 3),
    ],
)
def test_a_key_goes_when_no_link_of_its_time_is_valid(ages: list[int | None], kept: int) -> None:
    keys = tuple("old" if age is None else f"{NOW - age}:key" for age in ages)

    assert rotation.still_needed(keys, NOW) == keys[:kept]
