"""DEFAULTS: every default that a domain lets a tenant have, with the module that declares it."""

from collections.abc import Sequence
from types import ModuleType

from chalicelib.kernel.tenants.defaults import Default
from infra.manifest.section import Section

_TYPE = "tuple[tuple[str, str], ...]"
_COMMENT = "(default of a tenant, module that declares it)"


def section(modules: Sequence[ModuleType], before: str) -> Section:
    """All modules with `DEFAULTS = (Default(...), ...)`, in the order of modules."""
    del before
    entries = (
        (default.name, module.__name__) for module in modules for default in _declared(module)
    )
    return Section("DEFAULTS", _TYPE, _COMMENT, tuple(entries))


def _declared(module: ModuleType) -> tuple[Default, ...]:
    found = getattr(module, "DEFAULTS", ())
    return tuple(each for each in found if isinstance(each, Default))
