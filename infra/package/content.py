"""What Chalice packs: its own packager, run over a clean copy of the project."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TypeAlias

from chalice.deploy.packager import DependencyBuilder, LambdaDeploymentPackager
from chalice.utils import UI, OSUtils

from infra.project_copy import renew

Files: TypeAlias = dict[str, bytes]  #: path inside the zip to content

_COMPILE = """
import compileall, sys
from py_compile import PycInvalidationMode
mode = PycInvalidationMode.CHECKED_HASH
sys.exit(not compileall.compile_dir(sys.argv[1], quiet=1, invalidation_mode=mode))
"""


class PackingError(Exception):
    """The project cannot be packed; says why."""


def packed(project: Path, cache: Path) -> Files:
    """Every file that `chalice deploy` would ship, as it would ship it.

    `cache` keeps the zip of an unchanged project, as .chalice/deployments does: most of the time
    goes into pip.
    """
    copy = cache / "project"
    deployments = copy / ".chalice" / "deployments"
    renew(project, copy)
    for stale in set(deployments.glob("*.zip")) - {zip_path(copy)}:
        stale.unlink()
    made = Path(_packager().create_deployment_package(str(copy), python_version()))
    with zipfile.ZipFile(made) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}


def zip_path(project: Path) -> Path:
    """Where Chalice looks for the package of the project as it is now."""
    name = _packager().deployment_package_filename(str(project), python_version())
    return Path(name)


def settle_bytecode(project: Path) -> None:
    """Lets chalicelib's own __pycache__ depend on the sources alone.

    Chalice's hash covers it, and loading the app would write it anew with the time of each source:
    the package that was made for the hash would never be found again. Bytecode checked by its
    source's hash is the same on each run, and Python keeps it so when a source changes.
    """
    library = project / "chalicelib"
    for folder in library.rglob("__pycache__"):
        shutil.rmtree(folder)
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-c", _COMPILE, library], check=False, env=environment
    )
    if done.returncode:
        raise PackingError("chalicelib does not compile")


def python_version() -> str:
    """The runtime that Chalice gives the functions: that of the Python which runs it."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


class _Quiet(UI):  # type: ignore[misc, unused-ignore]
    """Chalice's progress is not ours; what is missing it says in a warning, which is an error."""

    def write(self, msg: str) -> None:
        if "Could not install dependencies" in msg:
            raise PackingError(msg.strip())


def _packager() -> LambdaDeploymentPackager:
    os_utils = OSUtils()
    return LambdaDeploymentPackager(os_utils, DependencyBuilder(os_utils), _Quiet())
