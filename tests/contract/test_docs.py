"""The pages that say how to extend the project, followed word for word; what all pages name exists.

The code of a page is put where the page says, into a copy of the project, and the tests that the
page adds run there. Then all pages are followed in one copy, which must pass the linters, the type
checker and the tests that every extension must keep green.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.pages import ROOT, apply, blocks

#: Tests that every extension must keep green; many find what is new by themselves.
KEPT = (
    "tests/contract",
    "--ignore=tests/contract/test_docs.py",
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
NOT_COPIED = (".git", ".venv", ".peers", ".pytest_cache", ".ruff_cache", "build", "deployments")
EXTENSIONS = sorted(path.name for path in (ROOT / "docs").glob("add-a-*.md"))
TEXTS = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
#: `kernel/jobs/outbox.py` or `infra/local/`: words in backticks that are a path of this project.
NAMED_PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/?)`")
NAMED_COMMAND = re.compile(r"(?:`|^\$ )(?:[A-Z]+=\S+ )*make ([a-z0-9-]+)", re.MULTILINE)


def followed(project: Path, pages: list[str]) -> list[str]:
    """A copy of the project in which these pages were followed; the tests that they add."""
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*NOT_COPIED, "__pycache__"))
    added = [block for page in pages for block in blocks(page)]
    for block in added:
        apply(project, block)
    done = run(project, "infra.openapi")
    assert done.returncode == 0, done.stderr
    return [block.path for block in added if Path(block.path).name.startswith("test_")]


@pytest.mark.parametrize("page", EXTENSIONS)
def test_a_page_followed_word_for_word_works(page: str, tmp_path: Path) -> None:
    tests = followed(tmp_path / "project", [page])
    own = [path for path in tests if not (ROOT / path).exists()]
    assert own

    done = run(tmp_path / "project", "pytest", "-p", "no:cacheprovider", *own)

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


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


def run(project: Path, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return execute(project, sys.executable, "-m", module, *arguments)


def execute(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=project,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_new_domain_with_its_tests_takes_less_than_100_lines_of_code() -> None:
    code = "".join(b.code for b in blocks("add-a-domain.md") if b.path.endswith(".py"))
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith('"""')]

    assert len(lines) < 100


def prose(text: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text.read_text(), flags=re.MULTILINE | re.DOTALL)


def paths_named(text: Path) -> Iterator[str]:
    """The paths that a page names, of files and folders that the project itself keeps."""
    tops = {path.name for path in (ROOT, ROOT / "chalicelib") for path in path.iterdir()}
    for named in NAMED_PATH.findall(prose(text)):
        top, *below = named.split("/")
        if below and top in tops - {"build", ".chalice"}:
            yield named


@cache
def made_by_the_pages() -> set[str]:
    """What exists once a page is followed."""
    return {block.path for page in EXTENSIONS for block in blocks(page)}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_every_path_that_a_page_names_exists(text: Path) -> None:
    missing = set(paths_named(text)) - made_by_the_pages()
    missing = {path for path in missing if not (ROOT / path).exists()}

    assert {path for path in missing if not (ROOT / "chalicelib" / path).exists()} == set()


def test_the_pages_name_paths_in_the_way_that_is_looked_for() -> None:
    assert {"kernel/jobs/group_commit.py", "infra/policies/"} <= {
        named for text in TEXTS for named in paths_named(text)
    }


def test_every_command_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {verb for text in TEXTS for verb in NAMED_COMMAND.findall(text.read_text())}

    assert {"run", "deploy"} <= named <= targets
