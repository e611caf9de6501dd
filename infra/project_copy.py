"""A copy of what ships, for the packer and for the rendered project of a stage."""

import shutil
from pathlib import Path

#: What Chalice looks at in a project when it packs.
PACKED = ("app.py", "requirements.txt", "chalicelib", "vendor")


def renew(project: Path, copy: Path) -> None:
    """Makes `copy` hold what ships of `project`, without anything that a run has left behind."""
    for name in PACKED:
        shutil.rmtree(copy / name, ignore_errors=True)
        if (project / name).is_dir():
            left_out = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(project / name, copy / name, ignore=left_out)
        elif (project / name).exists():
            copy.mkdir(parents=True, exist_ok=True)
            shutil.copy(project / name, copy / name)
