"""Routes by name: a module with views is imported at the first request for one of its routes.

A module that cannot be imported fails the requests that need it, at first those for its own routes,
and is tried again at the next one.
"""

import importlib
from collections.abc import Callable
from typing import Any

from chalice.app import Chalice, Response
from chalice.app import Request as ChaliceRequest

from chalicelib.kernel.http import cors, dispatch
from chalicelib.kernel.http.routes import Route

#: (module, its routes as (method, path, name of the view, whether it needs a token))
Listed = tuple[tuple[str, tuple[tuple[str, str, str, bool], ...]], ...]
_modules: dict[tuple[str, str], str] = {}  #: of each mounted (method, path), in the order mounted
_found: dict[tuple[str, str], Route] = {}  #: those whose module has been imported


class NotDeclared(LookupError):
    """The manifest lists a route that its module does not declare."""


def mount(app: Chalice, authorizer: Any, listed: Listed) -> None:
    """Adds the listed routes to the Chalice app, and OPTIONS on each path. Imports no domain."""
    methods: dict[str, list[str]] = {}
    for module, routes in listed:
        for method, path, view, needs_token in routes:
            _modules[method, path] = module
            methods.setdefault(path, []).append(method)
            app.route(
                path,
                methods=[method],
                name=view,
                authorizer=authorizer if needs_token else None,
                content_types=["*/*"],  # checked by dispatch, so that a 415 is a problem too
            )(_handler(app, method, path))
    for path, answered in methods.items():
        preflight = _preflight(app, (*answered, "OPTIONS"))
        app.route(path, methods=["OPTIONS"], content_types=["*/*"])(preflight)


def find(method: str, path: str) -> Route:
    """The mounted route; imports its module if need be.

    Safe to call from several threads: whoever comes while the module is imported waits for it.
    Raises KeyError for a route that is not mounted, and what the import raises.
    """
    key = method, path
    if key not in _found:
        module = _modules[key]
        declared = importlib.import_module(module).routes.declared
        _found.update({(route.method, route.path): route for route in declared})
        if key not in _found:
            raise NotDeclared(f"{module} declares no {method} {path}: run `make manifest`")
    return _found[key]


def loaded(method: str, path: str) -> Route | None:
    """The mounted route if its module has been imported; imports nothing."""
    return _found.get((method, path))


def mounted() -> list[Route]:
    """All mounted routes; imports all of their modules."""
    return [find(*key) for key in _modules]


def _preflight(app: Chalice, methods: tuple[str, ...]) -> Callable[..., Response]:
    def options(**_: str) -> Response:
        allowed = cors.preflight_headers(_current(app).headers, methods)
        return Response("", {"Allow": ", ".join(methods), **allowed}, 204)

    return options


def _handler(app: Chalice, method: str, path: str) -> Callable[..., Response]:
    def handle(**captured: str) -> Response:
        return dispatch.respond(lambda: find(method, path), _current(app), captured)

    return handle


def _current(app: Chalice) -> ChaliceRequest:
    if app.current_request is None:
        raise RuntimeError("Chalice calls a view only with a request")
    return app.current_request
