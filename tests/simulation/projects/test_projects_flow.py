"""The flow `projects` for CI: a bounded number of seeds, all its mutants, and its interpreter.

`make simulate SEEDS=500` plays more.
"""

import json
from typing import Any

import pytest

from tests.simulation.meetings import MET
from tests.simulation.projects.executions import FILE
from tests.simulation.projects.language import Machine
from tests.simulation.projects.mutants import KILLERS, MUTANTS
from tests.simulation.projects.paths import Unsupported
from tests.simulation.run import Chosen, replay_command
from tests.simulation.simulate import simulate

pytestmark = pytest.mark.simulate

SEEDS = 12
_IN_ONE_TEST = 4
#: Played when a change has sent the known seeds of a mutant on another course: slower, still true.
SEARCHED = range(1, 101)
_FLOW = Chosen(flow="projects")
_MEETING = Chosen(flow="projects", conflicts=True)


@pytest.mark.parametrize("first", range(1, SEEDS + 1, _IN_ONE_TEST))
def test_no_promise_about_projects_is_broken(first: int) -> None:
    for seed in range(first, first + _IN_ONE_TEST):
        verdict = _FLOW.simulate(seed)
        assert not verdict.broken, "\n".join([*verdict.broken, replay_command(seed, _FLOW)])


def test_no_promise_about_projects_is_broken_when_transactions_meet() -> None:
    met = 0
    for seed in range(1, 1 + _IN_ONE_TEST):
        verdict = _MEETING.simulate(seed)
        assert not verdict.broken, "\n".join([*verdict.broken, replay_command(seed, _MEETING)])
        met += verdict.counts.faults[MET]
    assert met >= _IN_ONE_TEST


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_projects_without_a_safeguard_are_caught(mutant: str) -> None:
    seeds = (*KILLERS[mutant], *SEARCHED)
    assert any(simulate(seed, mutant=mutant, flow="projects").broken for seed in seeds)


def test_a_seed_of_projects_takes_the_same_course_again() -> None:
    first, second = _FLOW.simulate(1), _FLOW.simulate(1)

    assert first.trace == second.trace
    assert first.counts == second.counts


def test_in_fine_weather_projects_are_made_without_a_fault() -> None:
    """In seed 1 a manager's change overtakes two calls of the provider, which counts as a fault."""
    for seed in range(2, 5):
        verdict = simulate(seed, rate=0.0, flow="projects")
        assert not verdict.broken
        assert not verdict.counts.faults


def test_the_replay_command_names_the_flow() -> None:
    assert "--flow projects" in replay_command(7, _FLOW)
    assert "--flow" not in replay_command(7)


def changed(state: str, **fields: Any) -> dict[str, Any]:
    """The shipped machine with some fields of one state changed."""
    definition: dict[str, Any] = json.loads(FILE.read_text())
    definition["States"][state].update(fields)
    return definition


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("finish", {"Type": "Parallel"}),
        ("finish", {"HeartbeatSeconds": 5}),
        ("finish", {"ResultSelector": {}}),
        ("finish", {"Retry": [{"ErrorEquals": ["States.ALL"], "MaxDelaySeconds": 5}]}),
        ("finish", {"Next": "nowhere"}),
        ("finish", {"End": True}),
        ("finished", {"Choices": [{"Variable": "$.a", "NumericEquals": 1, "Next": "done"}]}),
        ("sync_batches", {"ToleratedFailureCount": 1}),
    ],
)
def test_what_the_interpreter_does_not_know_is_refused(state: str, fields: dict[str, Any]) -> None:
    Machine(json.loads(FILE.read_text()))
    with pytest.raises(Unsupported):
        Machine(changed(state, **fields))
