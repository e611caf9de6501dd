"""Bringing a project's manifest up to date, for commands that ship or run what it lists.

In a process of its own: a command must not import chalicelib before it has set what settings are
read from.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FILE = "chalicelib/manifest.py"
HINT = f"{FILE} is not what the domains declare now: `make manifest` writes it anew"
REWRITTEN = "is rewritten"
_PROJECT = Path(__file__).parents[2]


class ManifestError(Exception):
    """The manifest cannot be made, for the reason in the message."""


def renew(project: Path = _PROJECT) -> None:
    """Rewrites the file unless it is up to date. Raises ManifestError."""
    done = _run(project)
    if done.returncode:
        raise ManifestError(done.stderr.strip())
    if REWRITTEN in done.stdout:
        print(done.stdout.strip())


def renew_if_stale(project: Path = _PROJECT) -> None:
    """Rewrites the file if it may be stale, which is looked at quickly. Raises ManifestError."""
    if may_be_stale(project):
        renew(project)


def complaint(project: Path = _PROJECT) -> str:
    """What is wrong with the file; empty when it is what the domains declare now."""
    done = _run(project, "--check")
    return done.stdout.strip() + done.stderr.strip() if done.returncode else ""


def may_be_stale(project: Path = _PROJECT) -> bool:
    """False when nothing of chalicelib has changed since the file was last found up to date.

    A quick look at times. Those of folders show what was moved or deleted; a file that was replaced
    by one with an old time escapes.
    """
    manifest = project / FILE
    if not manifest.exists() or not _is_whole(manifest):
        return True
    found = manifest.stat().st_mtime
    return any(path.stat().st_mtime > found for path in _sources(project / "chalicelib"))


def _is_whole(manifest: Path) -> bool:
    """False for a file that is empty or was damaged, by a merge for example."""
    try:
        return bool(ast.parse(manifest.read_bytes()).body)
    except (SyntaxError, ValueError):
        return False


def _sources(folder: Path) -> Iterator[Path]:
    """The folder and what is in it, without bytecode."""
    yield folder
    for path in folder.iterdir():
        if path.suffix == ".py":
            yield path
        elif path.is_dir() and path.name != "__pycache__":
            yield from _sources(path)


def _run(project: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  the command is fixed
        [sys.executable, "-m", "infra.manifest", *options],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(_PROJECT)},  # after the project itself, which is first
        capture_output=True,
        text=True,
        check=False,
    )
