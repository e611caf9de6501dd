"""What the doctor finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from infra.deploy.account import Account


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    broken: bool  #: False: worth knowing, but the stage works
    what: str
    cure: str  #: what to do
    page: str  #: the address of AWS's page on it


Check: TypeAlias = Callable[[Account], Iterator[Finding]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Registers a check; they run in the order of their modules."""
    CHECKS.append(function)
    return function


def broken(what: str, cure: str, page: str) -> Finding:
    return Finding(broken=True, what=what, cure=cure, page=page)


def advice(what: str, cure: str, page: str) -> Finding:
    return Finding(broken=False, what=what, cure=cure, page=page)
