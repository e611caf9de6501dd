"""All settings there are: the kernel's, and those of each domain that has a `settings.py`."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import chalicelib
from chalicelib.kernel.settings import Section, read


def sections() -> Iterator[type[Section]]:
    """The `Settings` of every folder of chalicelib, by the folder's name."""
    top = Path(chalicelib.__path__[0])
    for file in sorted(top.glob("*/settings.py")):
        yield importlib.import_module(f"chalicelib.{file.parent.name}.settings").Settings


def problems(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable of a setting that cannot be read; its default counts."""
    return [problem for section in sections() for problem in read(section, environ).problems]
