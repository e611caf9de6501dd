"""TOPICS: every kind of topic that can be followed, with the module that says by whom."""

from collections.abc import Sequence
from types import ModuleType

from chalicelib.kernel.sockets import topics
from infra.manifest.section import Section

_TYPE = "tuple[tuple[str, str], ...]"
_COMMENT = "(kind of topic, module that registers who may follow it)"


def section(modules: Sequence[ModuleType], before: str) -> Section:
    """All functions with `@topic(...)`, in the order of kinds."""
    del before
    names = {module.__name__ for module in modules}
    found = {kind: decide.__module__ for kind, decide in topics.declared().items()}
    entries = tuple((kind, module) for kind, module in sorted(found.items()) if module in names)
    return Section("TOPICS", _TYPE, _COMMENT, entries)
