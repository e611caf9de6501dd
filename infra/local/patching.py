"""Replacing functions and methods of moto at run time."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

Owner: TypeAlias = Any  # the class or module whose attribute is replaced


def replace_all(replacements: Iterable[tuple[Owner, str, Any]]) -> None:
    """Sets every attribute to its replacement."""
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)


def wrap_all(wrappers: Iterable[tuple[Owner, str, Callable[[Any], Any]]]) -> None:
    """Wraps every function as it is at this moment, so wrappers can be stacked."""
    for owner, name, wrapper in wrappers:
        setattr(owner, name, wrapper(getattr(owner, name)))
