"""The defaults that a tenant may have, each declared by whoever reads it.

A domain declares its own in its `defaults.py`:

    DEFAULTS = (Default("currency", ShortText, fault=rules.fault_of_currency),)

They are members of `defaults` in the API of tenants, attributes of a tenant's row, and what
`tenancy.find(...).defaults` holds. The row needs only their names, which the manifest has; the
modules are imported where tenants are created, changed or shown.
"""

import importlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec

from chalicelib import manifest
from chalicelib.kernel.errors import FieldError

_TEXT = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
ShortText = Annotated[
    str,
    msgspec.Meta(
        max_length=100,
        pattern=_TEXT,
        description="at most 100 characters, without control characters",
    ),
]
TimeZone = Annotated[
    str,
    msgspec.Meta(
        max_length=100,
        pattern=_TEXT,
        description="an IANA time zone such as Europe/Berlin",
    ),
]
_TIME_ZONE_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")


class Default(msgspec.Struct, frozen=True):
    """One default of a tenant; an empty text stands for none."""

    name: str  #: in the API, in the tenant's row and in `Tenant.defaults`; never renamed
    type: Any  #: text with its constraints, such as `ShortText`
    fault: Callable[[str], str] | None = None  #: what is wrong with a text; empty: nothing


def _fault_of_time_zone(name: str) -> str:
    return "" if _is_time_zone(name) else "must be an IANA time zone such as Europe/Berlin"


#: The kernel's own.
OWN = (Default("time_zone", TimeZone, _fault_of_time_zone), Default("sender", ShortText))


@cache
def declared() -> tuple[Default, ...]:
    """The defaults of all domains, then the kernel's own."""
    modules = dict.fromkeys(module for _, module in manifest.DEFAULTS)
    owned = (each for module in modules for each in importlib.import_module(module).DEFAULTS)
    return (*owned, *OWN)


def errors_in(values: Mapping[str, Any]) -> list[FieldError]:
    """An error for each default that cannot be used."""
    return [
        FieldError(default.name, fault)
        for default in declared()
        if default.fault and (value := values.get(default.name))
        if (fault := default.fault(value))
    ]


def _is_time_zone(name: str) -> bool:
    """True for a known time zone. A system without time zones accepts every well-formed name."""
    if not _TIME_ZONE_NAME.fullmatch(name):
        return False
    return _has_time_zone(name) or not _has_time_zone("UTC")


def _has_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True
