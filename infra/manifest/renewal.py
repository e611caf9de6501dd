"""Whether the manifest is up to date, and making it so."""

import os
import subprocess
import sys
from pathlib import Path

import chalicelib
from infra.manifest import content
from infra.manifest.content import ManifestError

FILE = "chalicelib/manifest.py"
HINT = f"{FILE} is not what the domains declare now: `make manifest` writes it anew"
_PROJECT = Path(__file__).parents[2]


def is_current() -> bool:
    """False when the file differs from what the domains declare. Raises ManifestError."""
    path = _path()
    return path.exists() and path.read_text(encoding="utf-8") == content.text()


def write() -> bool:
    """Writes the file unless it is up to date; True when it was not. Raises ManifestError."""
    if is_current():
        return False
    _path().write_text(content.text(), encoding="utf-8")
    return True


def _path() -> Path:
    return Path(chalicelib.__path__[0]) / "manifest.py"


def renew(project: Path = _PROJECT) -> None:
    """Brings a project's manifest up to date, in a process of its own.

    For commands that read settings when they import the app, which must not be before they have set
    them. Raises ManifestError.
    """
    done = subprocess.run(
        [sys.executable, "-m", "infra.manifest"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(_PROJECT)},  # after the project itself, which is first
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ManifestError(done.stderr.strip())
    if "rewritten" in done.stdout:
        print(done.stdout.strip())
