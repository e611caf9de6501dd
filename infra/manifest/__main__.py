"""Writes chalicelib/manifest.py anew from what the domains declare.

    python -m infra.manifest            after adding, moving or removing a route
    python -m infra.manifest --check    only says whether the file is up to date

`make run`, `make openapi`, `make package` and `make deploy` write it first. `make test` does not
start, and `make check` fails, with a file that is not up to date.
"""

import argparse
import contextlib
import sys
from pathlib import Path

from infra.manifest import earlier, modules
from infra.manifest.renewal import FILE, HINT, REWRITTEN, ManifestError

STALE, IMPOSSIBLE = 1, 2  #: exit codes


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    earlier.set_aside()
    path = modules.FOLDER / "manifest.py"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        found = modules.imported()
        from infra.manifest import content  # late, since it imports the kernel

        wanted = content.text(found, before)
    except ManifestError as error:
        print(f"No manifest: {error}", file=sys.stderr)
        return IMPOSSIBLE
    if wanted != before:
        return _renew(path, wanted, only_check=options.check)
    print(f"{FILE} is up to date")
    with contextlib.suppress(OSError):  # in a folder that may not be written to
        path.touch()  # its time says when it was last found so; see renewal.may_be_stale
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.manifest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true")
    return parser.parse_args(arguments)


def _renew(path: Path, wanted: str, *, only_check: bool) -> int:
    if only_check:
        print(HINT)
        return STALE
    path.write_text(wanted, encoding="utf-8")
    print(f"{FILE} {REWRITTEN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
