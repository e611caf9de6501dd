"""What moto imports and nothing here uses.

Its Step Functions know AWS Batch and would load it, and EC2 with it, for one list of words: 1.4
seconds of the first call. They get the words alone.
"""

import importlib.util
import sys
from types import ModuleType


def install() -> None:
    if "moto.batch" in sys.modules:
        return
    found = importlib.util.find_spec("moto")
    if found is None or not found.submodule_search_locations:
        raise ImportError("moto is not installed")
    package = ModuleType("moto.batch", "An empty room: only its parts can be imported.")
    package.__path__ = [f"{path}/batch" for path in found.submodule_search_locations]
    sys.modules["moto.batch"] = package
