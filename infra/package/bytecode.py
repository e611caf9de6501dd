"""Bytecode for the target's Python: unchecked, since the zip's dates do not match the sources'."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.package.content import Files, PackingError

ROOT = "/var/task/"  #: where Lambda unpacks the zip; tracebacks name files there

#: Runs in a process of its own, with fixed hashes and in a fixed order, since both influence the
#: order of constants in bytecode.
_COMPILE = """
import pathlib, py_compile, sys
folder, root = pathlib.Path(sys.argv[1]), sys.argv[2]
for path in sorted(folder.rglob("*.py")):
    name = path.relative_to(folder).as_posix()
    try:
        py_compile.compile(path, dfile=root + name, doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except py_compile.PyCompileError as error:
        sys.exit(f"{name}: {error.msg}")
"""


def with_bytecode(files: Files) -> Files:
    """Adds bytecode for every module, compiled by the Python that runs this."""
    sources = {name: content for name, content in files.items() if name.endswith(".py")}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in sources.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _compile(folder)
        paths = sorted(Path(folder).rglob("*.pyc"))
        return files | {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _compile(folder: str) -> None:
    done = subprocess.run(  # noqa: S603  the command is fixed
        [sys.executable, "-B", "-S", "-c", _COMPILE, folder, ROOT],
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise PackingError(f"does not compile: {done.stderr.strip()}")
