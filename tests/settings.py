"""The settings of a process that has read them already: read again, or set to other values."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any

import msgspec

from chalicelib.kernel.settings import Section, read
from infra import settings


def sections() -> Iterator[Section]:
    """What the kernel and each domain have read."""
    for section in settings.sections():
        yield importlib.import_module(section.__module__).settings


def read_again() -> None:
    """Settings are read at import; test modules were imported before the cloud had an address."""
    for section in sections():
        now = read(type(section), os.environ)
        for name in section.__struct_fields__:
            msgspec.structs.force_setattr(section, name, getattr(now, name))


def change(**values: Any) -> dict[str, Any]:
    """Sets these settings for good, whoever declares them; their earlier values."""
    owners = {name: section for section in sections() for name in section.__struct_fields__}
    before = {name: getattr(owners[name], name) for name in values}
    for name, value in values.items():
        msgspec.structs.force_setattr(owners[name], name, value)
    return before


@contextlib.contextmanager
def changed(**values: Any) -> Iterator[None]:
    """These settings have these values inside."""
    before = change(**values)
    try:
        yield
    finally:
        change(**before)
