"""The simulation for CI: a bounded number of seeds, all mutants, and the simulator itself.

`make simulate SEEDS=500` plays more.
"""

import pytest

from tests.simulation.meetings import MET
from tests.simulation.mutants import KILLERS, MEETING, MUTANTS
from tests.simulation.run import Chosen, replay_command
from tests.simulation.simulate import simulate

pytestmark = pytest.mark.simulate

SEEDS = 40
_IN_ONE_TEST = 5
_MEETING = Chosen(conflicts=True)
#: Played when a change has sent the known seeds of a mutant on another course: slower, still true.
SEARCHED = range(1, 101)


@pytest.mark.parametrize("first", range(1, SEEDS + 1, _IN_ONE_TEST))
def test_no_promise_is_broken(first: int) -> None:
    for seed in range(first, first + _IN_ONE_TEST):
        verdict = simulate(seed)
        assert not verdict.broken, "\n".join([*verdict.broken, replay_command(seed)])


@pytest.mark.parametrize("first", range(1, 11, _IN_ONE_TEST))
def test_no_promise_is_broken_when_transactions_meet(first: int) -> None:
    met = 0
    for seed in range(first, first + _IN_ONE_TEST):
        verdict = _MEETING.simulate(seed)
        assert not verdict.broken, "\n".join([*verdict.broken, replay_command(seed, _MEETING)])
        met += verdict.counts.faults[MET]
    assert met >= _IN_ONE_TEST


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_the_application_without_a_safeguard_is_caught(mutant: str) -> None:
    meet = mutant in MEETING
    seeds = (*KILLERS[mutant], *SEARCHED)
    assert any(simulate(seed, mutant=mutant, conflicts=meet).broken for seed in seeds)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_takes_the_same_course_again(seed: int) -> None:
    first, second = simulate(seed), simulate(seed)

    assert first.trace == second.trace
    assert first.counts == second.counts


def test_transactions_meet_when_asked_for_only_and_the_same_way_again() -> None:
    first, second = _MEETING.simulate(1), _MEETING.simulate(1)

    assert first.trace == second.trace
    assert first.counts.faults[MET] > 0
    assert simulate(1).counts.faults[MET] == 0
    assert "--conflicts" in replay_command(1, _MEETING)
    assert "--conflicts" not in replay_command(1)


def test_two_seeds_take_different_courses() -> None:
    assert simulate(1).digest != simulate(2).digest


def test_what_caught_a_mutant_catches_it_again_for_the_same_reasons() -> None:
    seed = KILLERS["no-sweep"][0]
    first, second = (simulate(seed, mutant="no-sweep") for _ in range(2))

    assert first.broken
    assert (first.broken, first.digest) == (second.broken, second.digest)
    assert not simulate(seed).broken


def test_in_fine_weather_nothing_is_ambiguous_and_nothing_repeated() -> None:
    for seed in range(1, 6):
        verdict = simulate(seed, rate=0.0)
        assert not verdict.broken
        # Some of the sample jobs take longer than they may, whatever the weather.
        assert set(verdict.counts.faults) <= {"killed at its time-out"}
        assert sum(verdict.counts.windows.values()) == 0
        assert sum(verdict.counts.repeats.values()) == 0
