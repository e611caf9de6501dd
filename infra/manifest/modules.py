"""All modules of chalicelib, imported."""

import importlib
import traceback
from pathlib import Path
from types import ModuleType

import chalicelib
from infra.manifest import earlier
from infra.manifest.renewal import ManifestError

FOLDER = Path(chalicelib.__path__[0])


def imported() -> list[ModuleType]:
    """In the order of their names, without the manifest. Raises ManifestError."""
    files = (path.relative_to(FOLDER.parent).with_suffix("") for path in FOLDER.rglob("*.py"))
    names = {".".join(file.parts).removesuffix(".__init__") for file in files}
    return [_import(name) for name in sorted(names - {earlier.NAME})]


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        told = "".join(traceback.format_exception(error, limit=-1))
        raise ManifestError(f"{name} cannot be imported.\n{told}") from error
