"""What a cold start must not pay for."""

import subprocess
import sys

import pytest

from tests.contract.source import ROOT, modules

FORBIDDEN_AT_START = {
    "boto3",
    "requests",
    "jinja2",
    "cryptography",
    "jwt",
    "aws_xray_sdk",
    "moto",
}


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """The names of all modules that are there once the app is imported."""
    run = subprocess.run(
        [sys.executable, "-c", "import sys, app; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_importing_the_app_stays_light(imported: set[str]) -> None:
    assert {name.split(".")[0] for name in imported}.isdisjoint(FORBIDDEN_AT_START)


def test_importing_the_app_imports_no_domain(imported: set[str]) -> None:
    own = [module for module in modules("chalicelib") if module.name in imported]

    assert {module.domain for module in own} == {"", "kernel", "manifest"}
    assert {module.name for module in own if module.has_routes} == set()


def test_values_are_structs_where_nothing_speaks_against_it() -> None:
    """Making a frozen dataclass takes over half a millisecond of a cold start, a struct a 40th."""
    found = {
        module.name.removeprefix("chalicelib.")
        for module in modules("chalicelib")
        if "dataclasses" in module.imports()
    }

    assert found == set()
