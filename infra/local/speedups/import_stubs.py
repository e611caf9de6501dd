"""Stubs for packages that moto imports and nothing here uses.

moto's Step Functions import all of AWS Batch, and EC2 with it, for a list of names: 1.4 seconds.
Its Systems Manager imports EC2 to find instances by their tags: 0.8 seconds. They get packages
without content, of which only the modules they name are loaded.
"""

import importlib.util
import sys
from types import ModuleType
from typing import Any


def install() -> None:
    """To be called before anything of moto.stepfunctions or moto.ssm is imported."""
    moto = importlib.util.find_spec("moto")
    if moto is None or not moto.submodule_search_locations:
        raise ImportError("moto is not installed")
    for name, content in {"batch": {}, "ec2": {"ec2_backends": _Backends()}}.items():
        if f"moto.{name}" in sys.modules:
            continue
        stub = ModuleType(f"moto.{name}", "Empty: only its modules can be imported.")
        stub.__path__ = [f"{path}/{name}" for path in moto.submodule_search_locations]
        vars(stub).update(content)
        sys.modules[f"moto.{name}"] = stub


class _Backends:
    """EC2's backends, loaded when somebody looks into them."""

    def __getitem__(self, account_id: str) -> Any:
        from moto.ec2.models import ec2_backends

        return ec2_backends[account_id]
