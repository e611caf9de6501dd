"""The manifest as it was must not decide what it becomes.

It may be missing, in the middle of a merge, or name modules that are gone.
"""

import sys
from types import ModuleType

import chalicelib

NAME = "chalicelib.manifest"


def set_aside() -> None:
    """From here on chalicelib sees an empty manifest.

    To be called before anything else of chalicelib is imported.
    """
    empty = ModuleType(NAME)
    vars(empty)["__getattr__"] = _nothing
    sys.modules[NAME] = vars(chalicelib)["manifest"] = empty


def _nothing(name: str) -> tuple[()]:
    if not name.isupper():
        raise AttributeError(name)
    return ()
