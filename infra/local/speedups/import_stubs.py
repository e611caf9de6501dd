"""A stub for a package that moto imports and nothing here uses.

moto's Step Functions import all of AWS Batch, and EC2 with it, for a list of names: 1.4 seconds.
They get a package without content, of which only the modules they name are loaded.
"""

import importlib.util
import sys
from types import ModuleType


def install() -> None:
    """To be called before anything of moto.stepfunctions is imported."""
    if "moto.batch" in sys.modules:
        return
    moto = importlib.util.find_spec("moto")
    if moto is None or not moto.submodule_search_locations:
        raise ImportError("moto is not installed")
    stub = ModuleType("moto.batch", "Empty: only its modules can be imported.")
    stub.__path__ = [f"{path}/batch" for path in moto.submodule_search_locations]
    sys.modules["moto.batch"] = stub
