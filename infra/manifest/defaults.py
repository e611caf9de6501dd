"""DEFAULTS: every default that a domain lets a tenant have, with the module that declares it."""

from collections.abc import Sequence
from types import ModuleType

from chalicelib import manifest
from chalicelib.kernel.auth.tenancy import TenantRecord
from chalicelib.kernel.tenants.defaults import OWN, Default
from infra.manifest.renewal import ManifestError
from infra.manifest.section import Section

_TYPE = "tuple[tuple[str, str], ...]"
_COMMENT = "(default of a tenant, module that declares it)"


def section(modules: Sequence[ModuleType], before: str) -> Section:
    """All modules with `DEFAULTS = (Default(...), ...)`, in the order of modules.

    Raises ManifestError for a name that another default or the tenant's row has already.
    """
    del before
    owners = dict.fromkeys([*_attributes(), *(own.name for own in OWN)], "the tenant's row")
    entries = []
    for module in modules:
        for default in _declared(module):
            _refuse_if_taken(default.name, module.__name__, owners)
            owners[default.name] = module.__name__
            entries.append((default.name, module.__name__))
    return Section("DEFAULTS", _TYPE, _COMMENT, tuple(entries))


def _attributes() -> set[str]:
    """Whatever a tenant's row has under a name, but for the defaults that the manifest lists."""
    return set(dir(TenantRecord)) - {name for name, _ in manifest.DEFAULTS}


def _refuse_if_taken(name: str, module: str, owners: dict[str, str]) -> None:
    if not name.isidentifier():
        raise ManifestError(f"the default {name!r} in {module} is no name such as time_zone")
    if name in owners:
        raise ManifestError(
            f"the default {name} in {module} is taken by {owners[name]}; choose another name"
        )


def _declared(module: ModuleType) -> tuple[Default, ...]:
    found = getattr(module, "DEFAULTS", ())
    return tuple(each for each in found if isinstance(each, Default))
