"""How large files and functions may be, and names that say nothing."""

import ast
import statistics

import pytest

from tests.contract.source import ROOT, modules

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}

LONGEST_FILE = 300
LONGEST_APP = 150
MEDIAN_FUNCTION = 8
LONG_FUNCTION = 30


def test_no_module_has_a_name_that_says_nothing() -> None:
    for folder in ("chalicelib", "infra", "tests"):
        for module in modules(folder):
            assert VAGUE_NAMES.isdisjoint(module.name.split(".")), module.name


@pytest.mark.parametrize("folder", ["chalicelib", "infra"])
def test_no_file_grows_too_long(folder: str) -> None:
    long = {
        module.name: lines
        for module in modules(folder)
        if (lines := len(module.path.read_text().splitlines())) > LONGEST_FILE
    }

    assert long == {}


def test_the_app_is_a_table_of_contents() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) <= LONGEST_APP


def function_lengths(folder: str) -> list[int]:
    return sorted(
        int(node.end_lineno or 0) - node.lineno + 1
        for module in modules(folder)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef)
    )


@pytest.mark.parametrize("folder", ["chalicelib", "infra"])
def test_functions_are_short(folder: str) -> None:
    lengths = function_lengths(folder)
    short = sum(length <= LONG_FUNCTION for length in lengths) / len(lengths)

    assert statistics.median(lengths) <= MEDIAN_FUNCTION
    assert short >= 0.9
