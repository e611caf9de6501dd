"""ROUTES: every declared route with the module and the name of its view."""

import re
from collections.abc import Sequence
from types import ModuleType

from chalicelib.kernel.http.routes import Routes
from infra.manifest.section import Section

_TYPE = "tuple[tuple[str, tuple[tuple[str, str, str, bool], ...]], ...]"
_COMMENT = "(module, its routes as (method, path, name of the view, whether it needs a token))"


def section(modules: Sequence[ModuleType], before: str) -> Section:
    """All modules with `routes = Routes()`.

    A module keeps the place that it has in the file, and a new one follows the others: the OpenAPI
    document is in this order.
    """
    found = {module.__name__: module.routes for module in modules if _declares(module)}
    known = [name for name in re.findall(r'"([\w.]+)"', before) if name in found]
    entries = [(name, _entries(found[name])) for name in dict.fromkeys([*known, *found])]
    return Section("ROUTES", _TYPE, _COMMENT, tuple(entries))


def _declares(module: ModuleType) -> bool:
    return isinstance(getattr(module, "routes", None), Routes)


def _entries(routes: Routes) -> tuple[tuple[str, str, str, bool], ...]:
    return tuple(
        (route.method, route.path, route.name, bool(route.allow)) for route in routes.declared
    )
