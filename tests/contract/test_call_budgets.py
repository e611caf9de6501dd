"""Each route keeps to the AWS calls that it declares, whatever the size of page and table.

The routes are those that the app mounts: a new one is measured without an edit here, or fails with
what is missing to send it a request that succeeds.
"""

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from chalicelib.kernel.http.routes import Route
from chalicelib.kernel.notify import limits
from infra.local import clock, faults
from infra.local.cloud import LocalCloud
from tests.contract.sample_requests import Requests, mounted, named, region
from tests.functional.client import Answer, Caller, aws_calls
from tests.functional.projects.rows import participate, project

pytestmark = pytest.mark.xdist_group("grown")  # what is grown is grown once
SIZES = (10, 100, 1_000)  #: users of the tenant, and jobs, notifications and tenants as many
Figures = dict[str, dict[int, Counter[str]]]


def grow(requests: Requests, size: int) -> None:
    """So many users and tenants; each user brings a job that waits, which is a notification."""
    from chalicelib.kernel.auth import tenancy

    new = range(requests.users, size)
    requests.users = size
    rows = "".join(f"N,u{number}@example.com,staff\n" for number in new)
    answer = requests.admin.send(
        "POST",
        "/admin/v1/users/import",
        headers={"Content-Type": "text/csv"},
        data="name,email,role\n" + rows,
    )
    requests.batch_id = answer.json()["data"]["batch_id"]
    requests.work_until_imported()
    for number in new:
        limits.suppress("t1", "email", f"gone{number}@example.com", "bounced")
    requests.crowded = requests.crowded or project("t1", "active")
    for number in new:
        region()
        project("t1", "active")
        participate("t1", requests.crowded, f"grown-{number}")
    with tenancy.TenantRecord.batch_write() as writing:
        for number in new:
            writing.save(tenancy.record(f"grown-{number}", "Grown"))


@pytest.fixture(scope="module")
def requests(started: LocalCloud) -> Iterator[Requests]:
    """For the tests of this module, which share what was grown."""
    started.reset()
    yield Requests(started)
    faults.clear()
    clock.stop()
    started.schedules.fire_due(clock.now())  # planned anew, since time went back


@pytest.fixture(scope="module")
def figures(requests: Requests) -> Figures:
    """The calls of each route at each size, by service; `told` is Server-Timing's figure."""
    found: Figures = {named(route): {} for route in mounted()}
    for size in SIZES:
        grow(requests, size)
        for route in mounted():
            answer = requests.send(route)
            found[named(route)][size] = made(answer)
    return found


def made(answer: Answer) -> Counter[str]:
    """The calls since the last clear, by service, and how many the answer tells of."""
    calls: Counter[str] = Counter(told=aws_calls(answer))
    for name, tries in faults.counts().items():
        if name != "ssm.GetParameter":  # configuration, once in about five minutes
            calls[name.partition(".")[0]] += tries["through"]
    return calls


@pytest.mark.parametrize("route", mounted(), ids=named)
def test_a_route_declares_a_bound(route: Route) -> None:
    assert route.calls.total > 0, f"{named(route)}: declare calls=Calls(...) beside it"
    assert route.calls.total <= 20, "beyond this the app itself warns of too many calls"


@pytest.mark.parametrize("route", mounted(), ids=named)
def test_only_what_queues_jobs_may_call_sqs(route: Route) -> None:
    if route.method == "GET":
        assert route.calls.sqs == 0


@pytest.mark.parametrize("route", mounted(), ids=named)
def test_the_calls_of_a_route_do_not_grow_with_its_table(figures: Figures, route: Route) -> None:
    by_size = figures[named(route)]

    assert len({tuple(sorted(calls.items())) for calls in by_size.values()}) == 1, by_size


@pytest.mark.parametrize("route", mounted(), ids=named)
def test_no_answer_exceeds_the_bound_of_its_route(figures: Figures, route: Route) -> None:
    for calls in figures[named(route)].values():
        assert calls["dynamodb"] <= route.calls.dynamodb
        assert calls["sqs"] <= route.calls.sqs
        assert calls["kms"] <= route.calls.kms
        assert calls["told"] == calls["dynamodb"] + calls["sqs"] + calls["kms"]
        assert not set(calls) - {"told", "dynamodb", "sqs", "kms"}, "a service without a bound"


@pytest.mark.parametrize("route", [each for each in mounted() if each.paginated], ids=named)
@pytest.mark.parametrize("per_page", [1, 50, 100])
def test_a_page_is_one_call_whatever_its_size(
    requests: Requests, figures: Figures, route: Route, per_page: int
) -> None:
    answer = requests.send(route, per_page=per_page)

    assert len(answer.json()["data"]) == per_page
    only_notices = "notifications" in route.path  # a filter, which may read on
    assert aws_calls(answer) == 1 or (only_notices and aws_calls(answer) <= route.calls.total)
    if answer.json()["meta"]["next_cursor"] and not only_notices:
        cursor = answer.json()["meta"]["next_cursor"]
        assert aws_calls(requests.send(route, per_page=per_page, cursor=cursor)) == 1


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/admin/v1/users", {"search": "n"}),
        ("/admin/v1/users", {"search": "u99"}),
        ("/admin/v1/users", {"search": "nobody"}),
        ("/admin/v1/users", {"status": "deactivated", "role": "customer"}),
        ("/admin/v1/users", {"search": "u", "status": "deactivated"}),
        ("/admin/v1/jobs", {"status": "failed"}),
        ("/admin/v1/jobs", {"type": "nothing.known"}),
        ("/admin/v1/notifications", {"recipient": "u7@example.com"}),
        ("/admin/v1/notifications", {"status": "sent"}),
        ("/admin/v1/notifications", {"kind": "nothing.known"}),
    ],
    ids=str,
)
def test_a_filter_that_finds_little_keeps_to_the_bound_on_every_page(
    requests: Requests, figures: Figures, path: str, query: dict[str, str]
) -> None:
    (route,) = [each for each in mounted() if (each.method, each.path) == ("GET", path)]
    cursor = None
    for _ in range(40):
        given = {**query, "cursor": cursor} if cursor else query
        answer = requests.send(route, **given)
        assert aws_calls(answer) <= route.calls.total
        cursor = answer.json()["meta"]["next_cursor"]
        if cursor is None:
            return
    pytest.fail("the list has no end")


@pytest.mark.parametrize("role", ["manager", "staff"])
def test_an_answer_that_is_a_refusal_keeps_to_the_bound_too(
    requests: Requests, figures: Figures, role: str
) -> None:
    caller: Caller = requests.client.as_(role)
    for route in mounted():
        path = re.sub(r"{\w+}", "01m81vfpqa4g492km3ew3kvx3r", route.path)
        answer = caller.send(route.method, path, json={})
        assert aws_calls(answer) <= route.calls.total, (named(route), answer.text)
