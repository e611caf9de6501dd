"""Each route declares the AWS calls that it makes at most; tests/functional/http measures them."""

import pytest

from chalicelib.kernel.routes import Route


def mounted() -> list[Route]:
    import app  # noqa: F401  mounts them
    from chalicelib.kernel import http

    return [route for route in http.mounted if route.described]


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", mounted(), ids=named)
def test_a_route_declares_a_bound(route: Route) -> None:
    assert route.calls.total > 0, f"{named(route)}: declare calls=Calls(...) beside it"
    assert route.calls.total <= 20, "beyond this the app itself warns of too many calls"


@pytest.mark.parametrize("route", mounted(), ids=named)
def test_only_what_queues_jobs_may_call_sqs(route: Route) -> None:
    if route.method == "GET":
        assert route.calls.sqs == 0
