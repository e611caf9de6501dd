"""Every route with one tenant's token on another's records, watched at the store.

The routes are those that the app mounts, so a new one is covered without an edit here; one that
names a kind of record not known yet fails with what to add to `ids_of`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.kernel.http.routes import Route
from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller, Client
from tests.functional.http.grown_tenants import BOUNCING, CSV, GrownTenants, grow, ids_of
from tests.functional.http.store_calls import watched

QUERIES = {("DELETE", "/admin/v1/suppressions"): {"address": BOUNCING}}


@pytest.fixture(scope="module")
def grown(started: LocalCloud) -> GrownTenants:
    return grow(started)


@pytest.fixture
def cloud(grown: GrownTenants) -> LocalCloud:
    """With the grown tenants in it, and not emptied for each test: nearly all of them only read."""
    return grown.cloud


@pytest.fixture
def changing(grown: GrownTenants) -> Iterator[None]:
    """For tests that write: the next one finds the tenants as they were."""
    yield
    grown.put_back()


@pytest.fixture
def ids(grown: GrownTenants) -> dict[str, str]:
    """t2's records, by the path parameter that they may stand for; t1 has the like."""
    return dict(grown.ids)


def routes() -> list[Route]:
    import app  # noqa: F401  mounts them
    from chalicelib.kernel.http import mounting

    return mounting.mounted()


def path_of(route: Route, ids: dict[str, str]) -> str:
    for name in re.findall(r"{(\w+)}", route.path):
        assert name in ids, (
            f"{route.method} {route.path}: add a record for {{{name}}} to ids_of() "
            "in tests/functional/http/grown_tenants.py"
        )
    return route.path.format(**ids)


def body_of(route: Route) -> dict[str, Any]:
    """Options of requests, with a body that the route takes."""
    if "body" not in route.parameters:
        return {}
    if "text/csv" in route.media:
        return {"data": CSV, "headers": {"Content-Type": "text/csv"}}
    from chalicelib.kernel.http.openapi.examples import example_of

    described = document()
    example = example_of(
        described["components"]["schemas"][route.parameters["body"].__name__],
        described["components"]["schemas"],
    )
    return {"data": example} if "urlencoded" in route.media[0] else {"json": example}


def document() -> dict[str, Any]:
    from chalicelib.kernel.http.openapi.document import document as described

    return described([each for each in routes() if each.in_openapi], "https://x", "0")


def texts(value: Any) -> Iterator[str]:
    """Every string in the parameters or the answer of a call."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)


def names(text: str, tenant: str) -> bool:
    """Whether this is a key of the tenant's, such as `t2` or an index's `t2#ann@example.com`."""
    return text == tenant or text.startswith((f"{tenant}#", f"{tenant}\n"))


@contextmanager
def nothing_read_of(tenant: str, ids: dict[str, str]) -> Iterator[None]:
    """No call inside names a key of the tenant's, and no answer holds a row of theirs."""
    with watched() as seen:
        yield
    for operation, content in seen:
        for text in texts(content):
            assert not names(text, tenant), (operation, content)


def send(caller: Caller, route: Route, ids: dict[str, str], query: Any = None) -> Answer:
    query = query or QUERIES.get((route.method, route.path))
    return caller.send(route.method, path_of(route, ids), params=query, **body_of(route))


OF_TENANTS = [each for each in routes() if each.allow and not each.platform]
NAMING_A_RECORD = [each for each in OF_TENANTS if "{" in each.path]
LISTS = [each for each in OF_TENANTS if each.paginated]


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_the_watch_sees_what_is_read(
    cloud: LocalCloud, manager: Caller, other: Caller, ids: dict[str, str]
) -> None:
    for route in LISTS:
        with pytest.raises(AssertionError), nothing_read_of("t2", ids):
            assert send(other, route, ids).status_code == 200
    with pytest.raises(AssertionError, match="add a record"):
        path_of(Route("GET", "/x/{unheard_of}", lambda: None, {}, None), ids)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("route", NAMING_A_RECORD, ids=named)
@pytest.mark.parametrize("named_tenant", [None, "t2"])
@pytest.mark.parametrize("role", ["manager", "staff"])
def test_anothers_record_is_not_there_and_none_of_their_keys_is_read(
    client: Client, ids: dict[str, str], route: Route, role: str, named_tenant: str | None
) -> None:
    caller = client.as_(role)
    caller = caller.naming(named_tenant) if named_tenant else caller
    with nothing_read_of("t2", ids):
        answer = send(caller, route, ids)

    assert answer.status_code == (404 if role in route.allow else 403), answer.text
    assert ids["user_id"] not in answer.text
    assert "bob@example.com" not in answer.text


@pytest.mark.parametrize("route", NAMING_A_RECORD, ids=named)
def test_an_admin_who_names_one_tenant_reads_nothing_of_another(
    admin: Caller, ids: dict[str, str], route: Route
) -> None:
    with nothing_read_of("t2", ids):
        assert send(admin, route, ids).status_code == 404


@pytest.mark.parametrize("route", [each for each in OF_TENANTS if "{" not in each.path], ids=named)
@pytest.mark.parametrize("named_tenant", [None, "t2"])
def test_a_route_without_a_record_reads_and_writes_only_the_callers_tenant(
    cloud: LocalCloud,
    manager: Caller,
    ids: dict[str, str],
    changing: None,
    route: Route,
    named_tenant: str | None,
) -> None:
    caller = manager.naming(named_tenant) if named_tenant else manager
    with nothing_read_of("t2", ids):
        answer = send(caller, route, ids)
        cloud.run_until_idle()

    assert answer.status_code < 300 or answer.status_code == 409, answer.text
    assert not any(each in answer.text for name, each in ids.items() if name != "tenant_id")


@pytest.mark.parametrize("route", LISTS, ids=named)
@pytest.mark.parametrize("named_tenant", [None, "t2"])
def test_anothers_cursor_is_refused_before_anything_is_read(
    manager: Caller, other: Caller, ids: dict[str, str], route: Route, named_tenant: str | None
) -> None:
    cursor = send(other, route, ids, {"per_page": 1}).json()["meta"]["next_cursor"]
    assert cursor
    caller = manager.naming(named_tenant) if named_tenant else manager
    with nothing_read_of("t2", ids):
        answer = send(caller, route, ids, {"per_page": 1, "cursor": cursor})

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("route", LISTS, ids=named)
def test_a_cursor_of_one_list_or_filter_opens_no_other(
    manager: Caller, ids: dict[str, str], route: Route
) -> None:
    ids = ids_of(manager)
    cursor = send(manager, route, ids, {"per_page": 1}).json()["meta"]["next_cursor"]

    for each in LISTS:
        status = send(manager, each, ids, {"per_page": 1, "cursor": cursor}).status_code
        assert status == (200 if each is route else 400), named(each)
    if "status" in route.parameters["query"].__struct_fields__:
        status = "active" if "users" in route.path else "done"
        filtered = {"per_page": 1, "cursor": cursor, "status": status}
        assert send(manager, route, ids, filtered).status_code in (400, 422)


@pytest.mark.parametrize(
    "filters",
    [
        {"search": "bob"},
        {"search": "t2#bob"},
        {"recipient": "bob@example.com"},
        {"recipient": "t2#bob@example.com"},
        {"kind": "people.invitation", "status": "sent"},
        {"type": "people.invitation", "status": "done"},
    ],
    ids=str,
)
def test_no_filter_leads_to_another_tenant(
    manager: Caller, ids: dict[str, str], filters: dict[str, str]
) -> None:
    for route in LISTS:
        with watched() as seen:
            answer = send(manager, route, ids, filters)
        assert answer.status_code in (200, 404, 422)
        read = [content for _, content in seen if "Items" in content]
        assert not any(names(text, "t2") for each in read for text in texts(each))
        assert not any(ids[name] in answer.text for name in ("user_id", "job_id"))


@pytest.mark.parametrize("role", ["manager", "staff", "customer"])
@pytest.mark.parametrize("route", [each for each in routes() if each.platform], ids=named)
def test_the_platforms_own_routes_are_for_admins_only(
    client: Client, ids: dict[str, str], route: Route, role: str
) -> None:
    with watched() as seen:
        answer = send(client.as_(role), route, ids)

    assert answer.status_code == 403
    assert not any(names(text, "t2") for text in texts([content for _, content in seen]))


def test_a_manager_cannot_become_or_make_an_admin(
    cloud: LocalCloud, client: Client, manager: Caller, ids: dict[str, str], changing: None
) -> None:
    user = manager.users()[0]["id"]
    csv = {"Content-Type": "text/csv"}
    row = "name,email,role\nEve,eve@example.com,admin\n"

    assert manager.create_user(email="eve@example.com", role="admin").status_code == 403
    assert manager.patch(f"/admin/v1/users/{user}", {"role": "admin"}).status_code == 403
    upload = manager.send("POST", "/admin/v1/users/import", headers=csv, data=row)
    cloud.run_until_idle()
    batch = manager.get(f"/v1/batches/{upload.json()['data']['batch_id']}").json()["data"]
    assert (batch["done"], batch["failed"]) == (1, 1)
    assert manager.users(role="admin") == []
    for header in ({"X-Role": "admin"}, {"X-Tenant-Id": "t2"}, {"Role": "admin"}):
        assert manager.get("/admin/v1/tenants", headers=header).status_code == 403
