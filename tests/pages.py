"""The pages that say how to extend the project, as code and the places that it goes to."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"(?:^`([^`\n]+)`[^`\n]*:\n)?^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(
    r'(?:#|//) (?P<path>[\w./-]+\.\w+)(?:, (?P<where>at the end|below "(?P<text>.+)"))?$'
)
_NOT_COPIED = (".git", ".venv", ".peers", ".pytest_cache", ".ruff_cache", "build", "deployments")
EXTENSIONS = sorted(path.name for path in (ROOT / "docs").glob("add-a-*.md"))


class Block(NamedTuple):
    """Code of a page, and where it goes."""

    path: str
    where: str | None  #: None for a new file
    code: str


def blocks(page: str) -> list[Block]:
    found = []
    for named, content in FENCE.findall((ROOT / "docs" / page).read_text()):
        if named:
            found.append(Block(named, None, content))
            continue
        first, _, rest = content.partition("\n")
        place = PLACE.match(first)
        assert place, f"{page}: a block does not begin with its place: {first}"
        found.append(Block(place["path"], place["text"] or place["where"], rest))
    return found


def apply(project: Path, block: Block) -> None:
    """Puts the code where it goes, unless it is there: somebody may have followed the page."""
    target = project / block.path
    if target.exists() and block.code and block.code in target.read_text():
        return
    if block.where is None:
        assert not target.exists() or not block.code, f"{block.path} exists already"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.code)
    elif block.where == "at the end":
        target.write_text(target.read_text().rstrip() + "\n\n\n" + block.code)
    else:
        lines = target.read_text().splitlines(keepends=True)
        at = next((n for n, line in enumerate(lines) if block.where in line), None)
        assert at is not None, f"{block.path} has no line with {block.where}"
        target.write_text("".join([*lines[: at + 1], block.code, *lines[at + 1 :]]))


def followed(project: Path, pages: list[str]) -> list[str]:
    """A copy of the project in which these pages were followed; the tests that they add."""
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    added = [block for page in pages for block in blocks(page)]
    for block in added:
        apply(project, block)
    done = run(project, "infra.openapi")
    assert done.returncode == 0, done.stderr
    new = [block.path for block in added if block.where is None]
    return [path for path in new if Path(path).name.startswith("test_")]


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
