"""The manifest's text: sections of literal tuples, laid out as the formatter would."""

import json
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from infra.manifest import defaults, events, routes, topics
from infra.manifest.section import Section

WIDTH = 100
_HEAD = '''"""What the domains declare, by name: written by `make manifest`, not by hand.

The app learns from it what there is, and imports a module when it is first needed.
"""
'''
#: Functions of all modules and of what the file was.
SECTIONS = (routes.section, events.section, topics.section, defaults.section)


def text(modules: Sequence[ModuleType], before: str) -> str:
    """The whole file, as it should be for these modules; `before` is what it was."""
    sections = [_rendered(section(modules, before)) for section in SECTIONS]
    return "\n".join([_HEAD, *sections])


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
