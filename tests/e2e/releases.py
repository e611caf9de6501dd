"""A release out of the project's own history, as a folder that can be deployed."""

import io
import subprocess
import tarfile
from pathlib import Path

from .package import PROJECT

#: What stages ran before the template went by S3 and domains were split up.
BEFORE = "9609a2cb28d6dfef99db5e63203d5e5ff79614bc"


def checked_out(commit: str, folder: Path) -> Path:
    """The project as of a commit. Raises RuntimeError that says how to get a missing history."""
    done = subprocess.run(
        ["git", "archive", "--format=tar", commit], check=False, cwd=PROJECT, capture_output=True
    )
    if done.returncode:
        raise RuntimeError(
            f"The release that is upgraded here, commit {commit[:7]}, cannot be read:\n"
            f"  {done.stderr.decode().strip()}\n"
            "It is in the project's history. In a shallow clone, run `git fetch --unshallow` and "
            "try again; in a folder without history, clone the project instead."
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder
