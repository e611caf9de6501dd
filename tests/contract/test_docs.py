"""The pages that say how to extend the project, followed word for word.

Each page's code is put where the page says, into a copy of the project, and the tests that the
page adds are run there, together with those that every extension must keep green.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Tests that a new route, job, notice or domain must keep green beside its own.
KEPT = (
    "tests/contract/test_alarms.py",
    "tests/contract/test_architecture.py",
    "tests/contract/test_jobs_and_notices.py",
    "tests/contract/test_resources.py",
    "tests/contract/test_routes.py",
    "tests/functional/events/test_sample_events.py",
)
NOT_COPIED = (".git", ".venv", ".peers", ".*_cache", "build", "deployments", "__pycache__")
PAGES = sorted(path.name for path in (ROOT / "docs").glob("add-a-*.md"))
FENCE = re.compile(r"(?:^`([^`\n]+)`:\n)?^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r'# (?P<path>[\w./-]+\.\w+)(?:, (?P<where>at the end|below "(?P<text>.+)"))?$')


def blocks(page: str) -> list[tuple[str, str | None, str]]:
    """(path, where, content) of each block: where is None for a new file."""
    found = []
    for named, content in FENCE.findall((ROOT / "docs" / page).read_text()):
        if named:
            found.append((named, None, content))
            continue
        first, _, rest = content.partition("\n")
        place = PLACE.match(first)
        assert place, f"{page}: a block does not begin with its place: {first}"
        found.append((place["path"], place["text"] or place["where"], rest))
    return found


def apply(project: Path, path: str, where: str | None, content: str) -> None:
    target = project / path
    if where is None:
        assert not target.exists(), f"{path} exists already"
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.startswith("tests/"):
            (target.parent / "__init__.py").touch()
        target.write_text(content)
    elif where == "at the end":
        target.write_text(target.read_text().rstrip() + "\n\n\n" + content)
    else:
        lines = target.read_text().splitlines(keepends=True)
        at = next((n for n, line in enumerate(lines) if re.search(where, line)), None)
        assert at is not None, f"{path} has no line with {where}"
        target.write_text("".join([*lines[: at + 1], content, *lines[at + 1 :]]))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_followed_word_for_word_works(page: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    kept = shutil.ignore_patterns(*NOT_COPIED)
    shutil.copytree(ROOT, project, ignore=kept)
    added = blocks(page)
    for path, where, content in added:
        apply(project, path, where, content)
    tests = [path for path, _, _ in added if path.startswith("tests/")]
    assert tests

    done = run(project, "infra.openapi")
    assert done.returncode == 0, done.stderr
    done = run(project, "pytest", "-p", "no:cacheprovider", *tests, *KEPT)

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def run(project: Path, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_new_domain_with_its_tests_takes_less_than_100_lines_of_code() -> None:
    code = "".join(text for path, _, text in blocks("add-a-domain.md") if path.endswith(".py"))
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith('"""')]

    assert len(lines) < 100
