"""All pages that say how to extend the project, followed in one copy, which must stay in order.

It must pass the linters, the type checker and the tests that every extension must keep green.
"""

import sys
from pathlib import Path

import pytest

from tests.pages import EXTENSIONS, execute, followed, run

#: Tests of the pages themselves, and of what no extension can change.
NOT_THERE = ("test_docs", "test_docs_together", "test_more_domains", "test_fast_path")
#: Tests that every extension must keep green; many find what is new by themselves.
KEPT = (
    "tests/contract",
    *(f"--ignore=tests/contract/{name}.py" for name in NOT_THERE),
    "tests/functional/events/test_sample_events.py",
    "tests/functional/http/test_described_answers.py",
    "tests/functional/http/test_two_tenants.py",
)
#: What `make check` runs before its tests.
LINT = (
    ("ruff", "check", "--no-cache", "."),
    ("ruff", "format", "--no-cache", "--check", "."),
    ("mypy", "chalicelib", "infra", "app.py"),
    ("cfn-lint", "infra/template.yaml"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which all pages were followed, one after another."""
    project = tmp_path_factory.mktemp("followed") / "project"
    followed(project, EXTENSIONS)
    return project


@pytest.mark.parametrize("command", LINT, ids=lambda command: " ".join(command[:2]))
def test_the_code_of_the_pages_passes_the_linters(project: Path, command: tuple[str, ...]) -> None:
    tool, *arguments = command
    done = execute(project, str(Path(sys.executable).with_name(tool)), *arguments)

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_the_code_of_the_pages_keeps_the_contracts(project: Path) -> None:
    done = run(project, "pytest", "-p", "no:cacheprovider", *KEPT)

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.thorough
def test_the_code_of_the_pages_passes_all_of_make_test(project: Path) -> None:
    """With the check of rights: what the pages allow in policies is needed, and nothing more is."""
    parallel = ("-n", "2", "--dist", "loadgroup", "-p", "tests.rights", "-p", "no:cacheprovider")
    done = run(project, "pytest", *parallel, "tests/functional", "tests/unit")

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
