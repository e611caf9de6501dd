"""The zip: the same files give the same bytes on any machine and day."""

import zipfile
from pathlib import Path

from infra.package.content import Files

_DATE = (1980, 1, 1, 0, 0, 0)  #: the earliest that a zip can hold
_MODE = 0o100644 << 16  #: readable by everybody, since Lambda runs as another user


def write(files: Files, path: Path) -> None:
    """Writes the zip beside its path and then moves it there, so that it is never incomplete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, or the mode is ignored
            entry.external_attr = _MODE
            archive.writestr(entry, files[name])
    unfinished.replace(path)
