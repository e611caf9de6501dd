"""The part of Amazon States Language that the shipped machine uses, on any host.

The host gives what takes time: calls of functions, waits, items side by side. What is not known
here is refused when the definition is read, so that nothing of the file goes untried unnoticed.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.simulation.projects.paths import (
    TESTS,
    Data,
    StateError,
    Unsupported,
    fill,
    find,
    holds,
    put,
)

State = dict[str, Any]

_ANY = frozenset({"Type", "Comment"})
_FLOW = frozenset({"Next", "End"})
_FIELDS: dict[str, frozenset[str]] = {
    "Task": _ANY
    | _FLOW
    | {"Resource", "Parameters", "TimeoutSeconds", "Retry", "Catch", "ResultPath"},
    "Choice": _ANY | {"Choices", "Default"},
    "Map": _ANY
    | _FLOW
    | {"ItemsPath", "MaxConcurrency", "ItemSelector", "ItemProcessor", "ResultPath"},
    "Pass": _ANY | _FLOW | {"Result", "ResultPath"},
    "Succeed": _ANY,
    "Fail": _ANY | {"Error", "Cause"},
}
_RETRIER = frozenset(
    {"ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "JitterStrategy"}
)
_CATCHER = frozenset({"ErrorEquals", "ResultPath", "Next"})
_MACHINE = frozenset({"Comment", "QueryLanguage", "StartAt", "TimeoutSeconds", "States"})
_UNCAUGHT = ("States.Runtime", "States.DataLimitExceeded")


class Host(Protocol):
    """What a machine runs on. Each call may end the run by an exception of the host's own."""

    def enter(self, state: str) -> None: ...

    def invoke(self, resource: str, payload: Data, seconds: float) -> Data:
        """Raises StateError."""
        ...

    def sleep(self, seconds: float) -> None: ...

    def jitter(self, seconds: float) -> float: ...

    def side_by_side(
        self, items: list[Data], most: int, work: Callable[["Host", Data], Data]
    ) -> list[Data]:
        """`work` on each item, so many at once; raises StateError as soon as one has failed."""
        ...


class Machine:
    """A state machine, read and checked."""

    def __init__(self, definition: State) -> None:
        _allow(definition, _MACHINE, "the machine")
        if definition.get("QueryLanguage", "JSONPath") != "JSONPath":
            raise Unsupported("a machine that is not in JSONPath")
        self.seconds = float(definition["TimeoutSeconds"])
        self._part = Part(definition)

    def run(self, host: Host, given: Data) -> Data:
        """Its output; raises StateError when it fails."""
        return self._part.run(host, given, {})


def read(path: Path, substitutions: dict[str, str]) -> Machine:
    """The machine of a file, with what a deployment puts into it."""
    text = path.read_text()
    for name, value in substitutions.items():
        text = text.replace(f"${{{name}}}", value)
    if "${" in text:
        raise Unsupported("a substitution that is not known")
    return Machine(json.loads(text))


class Part:
    """States with their beginning: a machine, or what a Map does with an item."""

    def __init__(self, definition: State) -> None:
        self.begins, self.states = definition["StartAt"], definition["States"]
        self._items = {
            name: Part(_processor(state["ItemProcessor"]))
            for name, state in self.states.items()
            if state.get("Type") == "Map" and "ItemProcessor" in state
        }
        for name, state in self.states.items():
            _check(name, state, self.states)

    def run(self, host: Host, data: Data, context: State) -> Data:
        name: str | None = self.begins
        while name is not None:
            host.enter(name)
            name, data = getattr(self, f"_{self.states[name]['Type'].lower()}")(
                host, name, data, context
            )
        return data

    def _task(self, host: Host, name: str, data: Data, context: State) -> tuple[str | None, Data]:
        state, tried = self.states[name], [0] * len(self.states[name].get("Retry", ()))
        while True:
            known = {**context, "State": {"Name": name, "RetryCount": sum(tried)}}
            payload = fill(state.get("Parameters", data), data, known)
            try:
                answer = host.invoke(state["Resource"], payload, state.get("TimeoutSeconds", 6e7))
                return state.get("Next"), put(state.get("ResultPath", "$"), data, answer)
            except StateError as error:
                seconds = _wait_seconds(host, state, error, tried)
                if seconds is None:
                    return _caught(state, data, error)
                host.sleep(seconds)

    def _choice(self, _: Host, name: str, data: Data, __: State) -> tuple[str | None, Data]:
        state = self.states[name]
        for choice in state["Choices"]:
            if holds(choice, data):
                return choice["Next"], data
        if "Default" not in state:
            raise StateError("States.NoChoiceMatched", name)
        return state["Default"], data

    def _map(self, host: Host, name: str, data: Data, context: State) -> tuple[str | None, Data]:
        state, part = self.states[name], self._items[name]
        items = find(state.get("ItemsPath", "$"), data, context)
        if not isinstance(items, list):
            raise StateError("States.Runtime", f"{name}: its items are no list")

        def work(branch: Host, item: tuple[int, Data]) -> Data:
            known = {**context, "Map": {"Item": {"Index": item[0], "Value": item[1]}}}
            given = fill(state["ItemSelector"], data, known) if _selects(state) else item[1]
            return part.run(branch, given, known)

        most = int(state.get("MaxConcurrency", 0)) or 40
        answers = host.side_by_side(list(enumerate(items)), most, work)
        return state.get("Next"), put(state.get("ResultPath", "$"), data, answers)

    def _pass(self, _: Host, name: str, data: Data, __: State) -> tuple[str | None, Data]:
        state = self.states[name]
        result = copy.deepcopy(state["Result"]) if "Result" in state else data
        return state.get("Next"), put(state.get("ResultPath", "$"), data, result)

    def _succeed(self, _: Host, __: str, data: Data, ___: State) -> tuple[str | None, Data]:
        return None, data

    def _fail(self, _: Host, name: str, __: Data, ___: State) -> tuple[str | None, Data]:
        state = self.states[name]
        raise StateError(state.get("Error", ""), state.get("Cause", ""))


# -- reading ------------------------------------------------------------------------------------


def _allow(found: State, known: frozenset[str], what: str) -> None:
    if unknown := set(found) - known:
        raise Unsupported(f"{what}: {', '.join(sorted(unknown))}")


def _processor(found: State) -> State:
    _allow(found, frozenset({"ProcessorConfig", "StartAt", "States"}), "an ItemProcessor")
    if found.get("ProcessorConfig", {"Mode": "INLINE"}) != {"Mode": "INLINE"}:
        raise Unsupported("a Map that is not inline")
    return found


def _selects(state: State) -> bool:
    return "ItemSelector" in state


def _check(name: str, state: State, states: dict[str, State]) -> None:
    kind = state["Type"]
    if kind not in _FIELDS:
        raise Unsupported(f"{name}: the type {kind}")
    _allow(state, _FIELDS[kind], name)
    for retrier in state.get("Retry", ()):
        _allow(retrier, _RETRIER, f"{name}: Retry")
    for catcher in state.get("Catch", ()):
        _allow(catcher, _CATCHER, f"{name}: Catch")
    for choice in state.get("Choices", ()):
        _check_choice(name, choice)
    if kind in ("Task", "Map", "Pass") and ("Next" in state) == bool(state.get("End")):
        raise Unsupported(f"{name}: neither Next nor End, or both")
    for where in _leads_to(state):
        if where not in states:
            raise Unsupported(f"{name} leads to {where}, which is not there")


def _leads_to(state: State) -> list[str]:
    from_lists = [each["Next"] for field in ("Catch", "Choices") for each in state.get(field, ())]
    return [*from_lists, *(state[name] for name in ("Next", "Default") if name in state)]


def _check_choice(name: str, choice: State) -> None:
    rules = choice.get("And", [choice])
    if "And" in choice:
        _allow(choice, frozenset({"And", "Next"}), f"{name}: Choices")
    for rule in rules:
        tests = set(rule) - {"Variable", "Next"}
        if len(tests) != 1 or not tests <= {*TESTS, "IsPresent"}:
            raise Unsupported(f"{name}: {', '.join(sorted(tests))}")


# -- errors and choices -------------------------------------------------------------------------


def _matches(names: list[str], error: StateError) -> bool:
    if names == ["States.ALL"]:
        return error.name not in _UNCAUGHT
    return error.name in names


def _wait_seconds(host: Host, state: State, error: StateError, tried: list[int]) -> float | None:
    """Seconds until the next try; None when there is none."""
    for number, retrier in enumerate(state.get("Retry", ())):
        if _matches(retrier["ErrorEquals"], error):
            if tried[number] >= retrier.get("MaxAttempts", 3):
                return None
            seconds = retrier.get("IntervalSeconds", 1) * (
                retrier.get("BackoffRate", 2.0) ** tried[number]
            )
            tried[number] += 1
            full = retrier.get("JitterStrategy", "NONE") == "FULL"
            return host.jitter(seconds) if full else float(seconds)
    return None


def _caught(state: State, data: Data, error: StateError) -> tuple[str | None, Data]:
    for catcher in state.get("Catch", ()):
        if _matches(catcher["ErrorEquals"], error):
            told = {"Error": error.name, "Cause": error.cause}
            return catcher["Next"], put(catcher.get("ResultPath", "$"), data, told)
    raise error
