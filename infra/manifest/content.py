"""The manifest's text: sections of literal tuples, laid out as the formatter would."""

import importlib
import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import chalicelib
from infra.manifest import defaults, events, routes, topics
from infra.manifest.section import Section

MANIFEST = "chalicelib.manifest"
WIDTH = 100
_HEAD = '''"""What the domains declare, by name: written by `make manifest`, not by hand.

The app learns from it what there is, and imports a module when it is first needed.
"""
'''
#: Functions of all modules and the manifest's earlier state.
SECTIONS = (routes.section, events.section, topics.section, defaults.section)


class ManifestError(Exception):
    """The manifest cannot be made, for the reason in the message."""


def text() -> str:
    """The whole file, as it should be now. Raises ManifestError."""
    modules = list(_imported())
    before = _before()
    sections = [_rendered(section(modules, before)) for section in SECTIONS]
    return "\n".join([_HEAD, *sections])


def _imported() -> Iterator[ModuleType]:
    """All modules of chalicelib in the order of their names."""
    top = Path(chalicelib.__path__[0])
    files = (path.relative_to(top.parent).with_suffix("") for path in top.rglob("*.py"))
    for name in sorted(".".join(file.parts).removesuffix(".__init__") for file in files):
        if name == MANIFEST:
            continue
        try:
            yield importlib.import_module(name)
        except Exception as error:
            told = "".join(traceback.format_exception(error, limit=-1))
            raise ManifestError(f"{name} cannot be imported.\n{told}") from error


def _before() -> ModuleType | None:
    """The manifest as it is; None when there is none that can be read."""
    try:
        return importlib.import_module(MANIFEST)
    except (ImportError, SyntaxError):  # missing, or in the middle of a merge
        return None


def _rendered(section: Section) -> str:
    declaration = f"{section.name}: {section.type} = "
    comment = "".join(f"#: {line}\n" for line in section.comment.splitlines())
    return f"{comment}{declaration}{_laid_out(section.entries, 0, WIDTH - len(declaration))}\n"


def _laid_out(value: Any, indent: int, room: int) -> str:
    """A literal; a tuple that does not fit into its line has one line for each member."""
    flat = _flat(value)
    if not isinstance(value, tuple) or len(flat) <= room:
        return flat
    inner = indent + 4
    room = WIDTH - inner - len(",")
    lines = [f"{' ' * inner}{_laid_out(member, inner, room)},\n" for member in value]
    return f"(\n{''.join(lines)}{' ' * indent})"


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        members = ", ".join(map(_flat, value))
        return f"({members},)" if len(value) == 1 else f"({members})"
    return repr(value)
