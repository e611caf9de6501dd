"""Each route keeps to the AWS calls that it declares, whatever the size of page and table.

The routes are those that the app mounts: a new one is measured without an edit here, or fails with
what is missing to send it a request that succeeds.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest

from chalicelib.kernel.notify import limits
from chalicelib.kernel.routes import Route
from infra.local import clock, faults
from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller, Client, aws_calls

pytestmark = pytest.mark.xdist_group("grown")  # what is grown is grown once
SIZES = (10, 100, 1_000)  #: users of the tenant, and jobs, notifications and tenants as many
_numbers = count()
Figures = dict[str, dict[int, Counter[str]]]


def mounted() -> list[Route]:
    import app  # noqa: F401  mounts them
    from chalicelib.kernel import http

    return [route for route in http.mounted if route.described]


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


class Requests:
    """A request that succeeds, for any route, made from the API's own description."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self.batch_id = ""  #: of the last import
        self.users = 0
        self.client = Client(cloud.url, cloud.issuer.token)
        self.admin = self.client.as_("admin", None).naming("t1")
        self.described = self.client.send("GET", "/openapi.json").json()

    def send(self, route: Route, **query: Any) -> Answer:
        record, body = self._record(route), self._body(route)
        send = partial(self.admin.send, route.method, route.path.format(**record), params=query)
        self.admin.get("/admin/v1/users?per_page=1")  # token and tenant are known from here on
        faults.clear()
        answer = send(**body)
        assert answer.status_code < 400, f"{named(route)}: give it what it needs: {answer.text}"
        return answer

    def work_until_imported(self) -> None:
        (bulk,) = [each for each in self._cloud.mappings if each.queue_name.endswith("-bulk")]
        while self.admin.get(f"/v1/batches/{self.batch_id}").json()["data"]["status"] != "done":
            assert bulk.poll_once(self._cloud._sqs)

    def _record(self, route: Route) -> dict[str, str]:
        """An id for each path parameter, of a record that this route accepts."""
        makers = {
            "user_id": self._fresh_user,
            "job_id": lambda: self._first("/admin/v1/jobs"),
            "notification_id": lambda: self._first("/admin/v1/notifications"),
            "batch_id": lambda: self.batch_id,
            "tenant_id": lambda: "t1",
        }
        names = re.findall(r"{(\w+)}", route.path)
        for name in names:
            assert name in makers, f"{named(route)}: say here how to make a {name}"
        found = {name: makers[name]() for name in names}
        if route.path.endswith("resend-invitation"):
            self._cloud.advance(61)
        return found

    def _first(self, path: str) -> str:
        return str(self.admin.get(f"{path}?per_page=1").json()["data"][0]["id"])

    def _fresh_user(self) -> str:
        answer = self.admin.create_user(email=f"fresh{next(_numbers)}@example.com")
        return str(answer.json()["data"]["user"]["id"])

    def _body(self, route: Route) -> dict[str, Any]:
        described = self.described["paths"][route.path][route.method.lower()]
        content = described.get("requestBody", {}).get("content", {})
        if route.name == "remove_suppression":
            limits.suppress("t1", "email", "bounced@example.com", "bounced")
            return {"params": {"address": "bounced@example.com"}}
        if not content:
            return {"params": {"token": self._token()}} if "token" in str(described) else {}
        media = next(iter(content))
        example = content[media].get("example")
        assert example is not None, f"{named(route)}: its body has no example"
        if isinstance(example, str):
            fresh = example.replace("ann@", f"fresh{next(_numbers)}@")
            return {"data": fresh, "headers": {"Content-Type": media}}
        return {"data" if "urlencoded" in media else "json": self._fresh(example)}

    def _fresh(self, example: dict[str, Any]) -> dict[str, Any]:
        """The example with what may exist only once made new."""
        if "email" in example:
            return {**example, "email": f"fresh{next(_numbers)}@example.com"}
        if "token" in example:
            return {**example, "token": self._token()}
        if "defaults" in example and "id" in example:
            return {**example, "id": f"fresh-{next(_numbers)}"}
        return {key: value for key, value in example.items() if key != "status"}

    def _token(self) -> str:
        from chalicelib.people import invitations, models

        person = models.get_person("t1", self._fresh_user())
        assert person is not None
        return invitations.token_of(person)


def grow(requests: Requests, size: int) -> None:
    """So many users and tenants; each user brings a job that waits, which is a notification."""
    from chalicelib.kernel import tenancy

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
        assert calls["told"] == calls["dynamodb"] + calls["sqs"]
        assert not set(calls) - {"told", "dynamodb", "sqs"}, "a service without a bound"


@pytest.mark.parametrize("route", [each for each in mounted() if each.listing], ids=named)
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
        if answer.headers.get("Server-Timing"):
            assert aws_calls(answer) <= route.calls.total, (named(route), answer.text)
