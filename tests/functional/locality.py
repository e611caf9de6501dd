"""Which functional tests need the local cloud's own process, and which come in by HTTP alone.

A test is `local` when it, a fixture of its module or a function that it calls uses the cloud
itself, the clock, faults, the mailbox, rows past the app, or the app's own code. All others run
against a deployment as well. Found in the code, so that a new test needs no list; one that HTTP
alone would not keep from a deployment says `@pytest.mark.local`, with its reason beside it.
"""

import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

IN_PROCESS = (
    "infra",
    "chalicelib",
    "app",
    "tests.functional.aws",
    "tests.functional.sample_jobs",
    "time_machine",
)
NAMES = frozenset({"make_token"})  #: tokens that a test makes up are for the local issuer
FIXTURES = frozenset({"cloud", "started", "monkeypatch", "caplog", "capsys"})


def is_local(item: pytest.Function) -> bool:
    """Whether the test can only run beside the local cloud, in its process."""
    if item.get_closest_marker("local") or FIXTURES & set(item.fixturenames):
        return True
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    own = (each[-1].func for each in fixtures if each[-1].func.__module__ == item.module.__name__)
    return any(_reaches_inside(function, set()) for function in (item.function, *own))


def _reaches_inside(function: Callable[..., Any], seen: set[object]) -> bool:
    function = getattr(function, "__wrapped__", function)
    if function in seen or not isinstance(function, types.FunctionType):
        return False
    seen.add(function)
    for name in _names(function.__code__):
        if name in NAMES or _inside(name):
            return True  # _inside: a late import
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType) and _inside(value.__name__):
            return True
        origin = getattr(value, "__module__", None)
        if not isinstance(origin, str) or not callable(value):
            continue
        if _inside(origin) or (_is_ours(origin) and _reaches_inside(value, seen)):
            return True
    return False


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _inside(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in IN_PROCESS)


def _is_ours(module: str) -> bool:
    return module.startswith("tests.functional") and module != "tests.functional.client"
