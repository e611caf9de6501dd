"""Every route says who may call it, or stands on the list of those that anyone may."""

import importlib

import pytest

from chalicelib.kernel.auth.tenancy import ROLES
from chalicelib.kernel.http.routes import Route, Routes
from tests.contract.source import modules

PUBLIC = {
    ("GET", "/docs"),
    ("GET", "/invitations/accept"),
    ("GET", "/openapi.json"),
    ("GET", "/projects/{project_id}"),  # a shell without data
    ("POST", "/invitations/accept"),
    ("POST", "/v1/invitations/accept"),
}
#: Routes of the platform itself: they take no tenant from the token or X-Tenant-Id.
OF_THE_PLATFORM = ("/admin/v1/tenants", "/admin/v1/regions")


def routes() -> list[Route]:
    found = []
    for module in modules("chalicelib"):
        if module.has_routes:
            declared = importlib.import_module(module.name).routes
            assert isinstance(declared, Routes)
            found += declared.declared
    return found


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_what_is_declared_is_what_the_app_serves() -> None:
    import app

    served = {
        (method, path)
        for path, methods in app.app.routes.items()
        for method in methods
        if method != "OPTIONS"
    }
    assert {(route.method, route.path) for route in routes()} == served


def test_only_the_listed_routes_are_open_to_anyone() -> None:
    assert {(route.method, route.path) for route in routes() if not route.allow} == PUBLIC


@pytest.mark.parametrize("route", routes(), ids=named)
def test_a_route_names_roles_that_exist_and_its_authorizer(route: Route) -> None:
    import app

    entry = app.app.routes[route.path][route.method]
    assert set(route.allow) <= set(ROLES)
    assert (entry.authorizer is not None) is bool(route.allow)


@pytest.mark.parametrize("route", routes(), ids=named)
def test_a_route_takes_no_tenant_from_its_path_unless_it_is_the_platforms(route: Route) -> None:
    if route.path.startswith(OF_THE_PLATFORM):
        assert route.allow == ("admin",)
    else:
        assert "tenant" not in route.path
        assert not route.platform or not route.allow
