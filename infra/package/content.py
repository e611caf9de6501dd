"""Packs a clean copy of the project with Chalice's own packager."""

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
    """The project cannot be packed, for the reason in the message."""


def pack(project: Path, cache: Path) -> Files:
    """Every file that `chalice deploy` would ship.

    `cache` keeps the zip of an unchanged project, as .chalice/deployments does, because pip takes
    most of the time.
    """
    copy = cache / "project"
    deployments = copy / ".chalice" / "deployments"
    renew(project, copy)
    for stale in set(deployments.glob("*.zip")) - {zip_path(copy)}:
        stale.unlink()
    path = Path(_packager().create_deployment_package(str(copy), python_version()))
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}


def zip_path(project: Path) -> Path:
    """Where Chalice looks for a package of the project's present state."""
    name = _packager().deployment_package_filename(str(project), python_version())
    return Path(name)


def settle_bytecode(project: Path) -> None:
    """Compiles chalicelib's own __pycache__ so that it depends on the sources alone.

    Chalice's hash of the project covers it, and bytecode checked by the source's time would change
    whenever the app is loaded, so Chalice would not find the package again. Bytecode checked by the
    source's hash stays the same.
    """
    library = project / "chalicelib"
    for folder in library.rglob("__pycache__"):
        shutil.rmtree(folder)
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(  # noqa: S603  the command is fixed
        [sys.executable, "-c", _COMPILE, library], check=False, env=environment
    )
    if done.returncode:
        raise PackingError("chalicelib does not compile")


def python_version() -> str:
    """The runtime that Chalice chooses: the version of the Python that runs it."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


class _Quiet(UI):  # type: ignore[misc, unused-ignore]
    """Hides Chalice's progress, and raises its warning about missing packages as an error."""

    def write(self, msg: str) -> None:
        if "Could not install dependencies" in msg:
            raise PackingError(msg.strip())


def _packager() -> LambdaDeploymentPackager:
    os_utils = OSUtils()
    return LambdaDeploymentPackager(os_utils, DependencyBuilder(os_utils), _Quiet())
