"""One section of the manifest."""

from typing import Any, NamedTuple


class Section(NamedTuple):
    """A constant of the manifest."""

    name: str
    type: str  #: its annotation, of builtin types alone: the manifest imports nothing
    comment: str
    entries: tuple[Any, ...]  #: literals: texts, numbers, True, False, None, and tuples of them
