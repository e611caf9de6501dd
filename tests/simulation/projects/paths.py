"""Paths into a state's data, templates that are filled from them, and the tests of a Choice."""

import copy
import re
from collections.abc import Callable
from typing import Any

Data = Any

TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "StringEquals": lambda found, wanted: isinstance(found, str) and found == wanted,
    "IsNull": lambda found, wanted: (found is None) == wanted,
}
_PATH = re.compile(r"\$\$?(\.[A-Za-z]\w*)*\Z")
_ABSENT = object()


class Unsupported(Exception):
    """The definition uses what this interpreter does not know."""


class StateError(Exception):
    """An error as the machine sees it: a name, and a text."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause


def find(path: str, data: Data, context: dict[str, Any]) -> Data:
    found = _look_up(path, data, context)
    if found is _ABSENT:
        raise StateError("States.Runtime", f"{path} is not there")
    return found


def _look_up(path: str, data: Data, context: dict[str, Any]) -> Data:
    if not _PATH.match(path):
        raise Unsupported(f"the path {path}")
    found = context if path.startswith("$$") else data
    for name in path.split(".")[1:]:
        if not isinstance(found, dict) or name not in found:
            return _ABSENT
        found = found[name]
    return found


def fill(template: Data, data: Data, context: dict[str, Any]) -> Data:
    """A payload template; what is taken over is a copy."""
    if isinstance(template, dict):
        return {
            name.removesuffix(".$"): copy.deepcopy(find(value, data, context))
            if name.endswith(".$")
            else fill(value, data, context)
            for name, value in template.items()
        }
    if isinstance(template, list):
        return [fill(each, data, context) for each in template]
    return template


def put(path: str | None, data: Data, result: Data) -> Data:
    if path is None:
        return data
    if not _PATH.match(path) or path.startswith("$$"):
        raise Unsupported(f"the ResultPath {path}")
    if path == "$":
        return result
    changed = copy.deepcopy(data)
    *way, last = path.split(".")[1:]
    place = changed
    for name in way:
        place = place.setdefault(name, {})
    place[last] = result
    return changed


def holds(choice: dict[str, Any], data: Data) -> bool:
    if "And" in choice:
        return all(holds(each, data) for each in choice["And"])
    found = _look_up(choice["Variable"], data, {})
    if "IsPresent" in choice:
        return (found is not _ABSENT) == bool(choice["IsPresent"])
    ((test, wanted),) = ((n, v) for n, v in choice.items() if n not in ("Variable", "Next"))
    if found is _ABSENT:
        raise StateError("States.Runtime", f"{choice['Variable']} is not there")
    return TESTS[test](found, wanted)
