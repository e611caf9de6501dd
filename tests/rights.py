"""What `make test` adds to the tests: no function's policy has a right that no test needs.

    pytest -p tests.rights tests/unit tests/functional

The plugin notes every right that a function used, and in which test. At the end it takes each
action on each resource out of each statement, in thought, and judges all calls again: one must now
be denied. The test that made this call would fail, since no test of tests/functional may leave a
denied call behind that it did not ask for. build/rights.json names the tests.

The Makefile's target `test` loads the plugin. A run of some tests alone proves nothing, so it is
left out there.
"""

import contextlib
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from infra import policies
from infra.local import policy, roles
from infra.local.environment import REGION, STAGE
from infra.local.rights import Right

REPORT = Path(__file__).parents[1] / "build" / "rights.json"
#: Rights that no call of ours uses, and who needs them.
NOT_OURS = {
    "logs:CreateLogStream": "Lambda itself writes the function's log, in the function's role",
    "logs:PutLogEvents": "Lambda itself writes the function's log, in the function's role",
}
Calls = dict[tuple[str, Right], str]  #: the first test that made a call, by function and right
Needs = dict[str, dict[str, dict[str, Any]]]

_calls: Calls = {}
_unneeded: list[str] = []
_needs: Needs = {}


def pytest_configure(config: pytest.Config) -> None:
    if not _is_controller(config):
        roles.record(_note)


def _is_controller(config: pytest.Config) -> bool:
    """Whether other processes run the tests."""
    return not hasattr(config, "workerinput") and bool(config.getoption("numprocesses", None))


def _note(function: str, right: Right) -> None:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    _calls.setdefault((function, right), test)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for function, action, resource, context, test in getattr(node, "workeroutput", {}).get(
        "rights", ()
    ):
        values = frozenset((key, tuple(found)) for key, found in context)
        _calls.setdefault((function, Right(action, resource, values)), test)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["rights"] = [
            (function, right.action, right.resource, list(right.context), test)
            for (function, right), test in _calls.items()
        ]
    elif session.exitstatus == pytest.ExitCode.OK:  # else calls may be missing
        _judge()
        if _unneeded:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _judge() -> None:
    _needs.update(needs(_calls))
    for function, found in _needs.items():
        _unneeded.extend(f"{function}: {right}" for right, need in found.items() if not need)
    with contextlib.suppress(PermissionError):  # it only helps a reader
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(_needs, indent=2) + "\n", encoding="utf-8")


def needs(calls: Calls) -> Needs:
    """By function and right, a call that would be denied without it, and the test that makes it."""
    place = policies.Place(STAGE, REGION, roles.ACCOUNT)
    by_function: dict[str, Calls] = defaultdict(dict)
    for (function, right), test in calls.items():
        by_function[function][function, right] = test
    return {
        function: _needs_of(
            policy.read(policies.policy(function, place), function), by_function[function]
        )
        for function in policies.functions()
    }


def _needs_of(statements: tuple[policy.Statement, ...], calls: Calls) -> dict[str, dict[str, Any]]:
    parts = [part for statement in statements for part in statement.parts()]
    return {
        str(part): _denied(tuple(each for each in parts if each is not part), part, calls)
        for part in parts
        if part.actions[0] not in NOT_OURS
    }


def _denied(
    left: tuple[policy.Statement, ...], without: policy.Statement, calls: Calls
) -> dict[str, Any]:
    """The first call that is denied with the statements that are left; empty if none is."""
    for (_, right), test in calls.items():
        if without.allows(right) and not roles.allowed(left, right):
            return {"resource": right.resource, "test": test}
    return {}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _unneeded:
        terminalreporter.write_line("No test needs these rights, by function:", red=True)
        for line in _unneeded:
            terminalreporter.write_line(f"  {line}")
        terminalreporter.write_line(
            "Take them out of infra/policies/<function>.json, or add the test that needs them."
        )
    elif _needs:
        count = sum(map(len, _needs.values()))
        terminalreporter.write_line(
            f"each of the {count} rights of {len(_needs)} functions is needed by a test, "
            "which build/rights.json names"
        )
