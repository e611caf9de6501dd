"""Modules that are imported when something of them is first used.

So a domain costs nothing until a request, a message or an event is about it.
"""

import importlib
from typing import Any


class Late:
    """Stands for a module by its dotted name; `module.function` is that of the module.

    Its first use raises what importing the module raises, and the next use tries again.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, member: str) -> Any:
        return getattr(importlib.import_module(self._name), member)
