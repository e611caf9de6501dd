"""The packages that are compared: ours as packaged, boto3 alone, a typical team's stack.

Ours and the typical team's are packed by Chalice's own packager; ours then goes through our
package step. boto3 is installed by pip, which compiles it: a reference with bytecode.
"""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.package import build, content

PROJECT = Path(__file__).parents[2]
PEERS = PROJECT / ".peers" / "bench"
BUILD = PROJECT / "build" / "bench"
REFERENCES = Path(__file__).with_name("references")
READ_ONLY = 0o444


@dataclass(frozen=True)
class Tree:
    """An unzipped package that a process can put on its path."""

    name: str
    path: Path


def all_trees() -> list[Tree]:
    """Made where they are missing or out of date."""
    return [Tree("ours", ours()), Tree("raw", raw()), Tree("typical", typical())]


def ours() -> Path:
    """The zip of the package step, unpacked as Lambda does."""
    package = build.build(PROJECT, BUILD)
    stamp = hashlib.sha256(package.zip.read_bytes()).hexdigest()
    return _made_once(BUILD / "ours", stamp, lambda folder: _unzip(package.zip, folder))


def raw() -> Path:
    """boto3 and its dependencies with bytecode, and the handler."""
    return _made_once(PEERS / "raw", _stamp(REFERENCES / "raw"), _make_raw)


def _make_raw(folder: Path) -> None:
    source = REFERENCES / "raw"
    _pip(sys.executable, source, "--target", str(folder), "--compile")
    shutil.copy(source / "handler.py", folder)
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder / "handler.py"], check=True)


def typical() -> Path:
    """What `chalice deploy` ships for the typical stack: sources, and no bytecode."""
    source = REFERENCES / "typical"

    def make(folder: Path) -> None:
        for name, written in content.pack(source, BUILD / "typical").items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(written)

    return _made_once(PEERS / "typical", _stamp(source), make)


def queues() -> Path:
    """The interpreter of a venv with Celery and dramatiq."""
    source = REFERENCES / "queues"

    def make(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        _pip(str(folder / "bin" / "python"), source)

    requirements = (source / "requirements.txt").read_bytes()
    home = _made_once(PEERS / "queues", hashlib.sha256(requirements).hexdigest(), make)
    return home / "bin" / "python"


def _pip(python: str, source: Path, *options: str) -> None:
    install = [
        python,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--no-deps",
    ]
    subprocess.run([*install, *options, "-r", str(source / "requirements.txt")], check=True)


def _stamp(folder: Path) -> str:
    found = [*sorted(folder.rglob("*.py")), folder / "requirements.txt"]
    return hashlib.sha256(b"".join(each.read_bytes() for each in found)).hexdigest()


def _made_once(folder: Path, stamp: str, make: Callable[[Path], None]) -> Path:
    wanted, written = f"{stamp} {sys.version}", folder.with_name(f"{folder.name}.made")
    if folder.exists() and written.exists() and written.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make(folder)
    written.write_text(wanted)
    return folder


def _unzip(zipped: Path, folder: Path) -> None:
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(folder)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(READ_ONLY)


def bytecode(folder: Path) -> int:
    """How many compiled files stand in it: the same after a measurement as before."""
    return sum(1 for _ in folder.rglob("*.pyc"))
