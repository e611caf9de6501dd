"""A client of the API, as a test's own words: who calls, what, and what came back."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Barrier
from typing import Any

import requests

from infra.local import faults
from infra.local.faults import Fault

Answer = requests.Response


@dataclass
class Client:
    """Calls the API at `url` with tokens made by `make_token(claims)`."""

    url: str
    make_token: Any
    connect: Callable[[], requests.Session] = requests.Session
    session: requests.Session = field(init=False)

    def __post_init__(self) -> None:
        self.session = self.connect()

    def tenant_id(self, name: str) -> str:
        """The id of the tenant that tests call by this name."""
        return name

    def as_(self, role: str, tenant: str | None = "t1", **claims: Any) -> "Caller":
        """The API as somebody with this role in this tenant sees it."""
        given = {"sub": f"{role}-of-{tenant}", "role": role, **claims}
        if tenant is not None:
            given = {"tenant_id": self.tenant_id(tenant), **given}
        return Caller(self, self.make_token(given))

    def with_token(self, token: str) -> "Caller":
        return Caller(self, token)

    def send(self, method: str, path: str, **options: Any) -> Answer:
        """A request without a token."""
        return self.session.request(method, self.url + path, timeout=30, **options)


@dataclass
class Caller:
    """Somebody with a token."""

    client: Client
    token: str
    headers: dict[str, str] = field(default_factory=dict)  #: sent with each request

    def naming(self, tenant: str) -> "Caller":
        """The same, with this tenant in X-Tenant-Id."""
        return replace(self, headers={**self.headers, "X-Tenant-Id": self.client.tenant_id(tenant)})

    def in_a_session_of_its_own(self) -> "Caller":
        """The same over connections of its own, for a thread."""
        return replace(self, client=replace(self.client))

    def send(
        self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any
    ) -> Answer:
        sent = {"Authorization": f"Bearer {self.token}", **self.headers, **(headers or {})}
        return self.client.send(method, path, headers=sent, **options)

    def get(self, path: str, **options: Any) -> Answer:
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.send("POST", path, json=body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.send("PATCH", path, json=body, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.send("DELETE", path, **options)

    def create_user(self, name: str = "Ann Example", **values: Any) -> Answer:
        """POST /admin/v1/users with defaults for what the test does not care about."""
        body = {"name": name, "email": "ann@example.com", "role": "staff", **values}
        return self.post("/admin/v1/users", {key: v for key, v in body.items() if v is not None})

    def listed(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All records of a list, page by page."""
        return [record for page in self.pages(path, **query) for record in page]

    def pages(self, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
        cursor = None
        while True:
            answer = self.get(path, params={"per_page": 100, **query, "cursor": cursor})
            assert answer.status_code == 200, answer.text
            yield answer.json()["data"]
            cursor = answer.json()["meta"]["next_cursor"]
            if cursor is None:
                return

    def users(self, **query: Any) -> list[dict[str, Any]]:
        return self.listed("/admin/v1/users", **query)

    def jobs(self, **query: Any) -> list[dict[str, Any]]:
        return self.listed("/admin/v1/jobs", **query)

    def job(self, job_id: str) -> dict[str, Any]:
        """One job with its history."""
        found: dict[str, Any] = self.get(f"/admin/v1/jobs/{job_id}").json()["data"]
        return found

    def the_job(self, **query: Any) -> dict[str, Any]:
        """The only job there is, with its history."""
        (found,) = self.jobs(**query)
        return self.job(found["id"])

    def notifications(self, **query: Any) -> list[dict[str, Any]]:
        return self.listed("/admin/v1/notifications", **query)


def aws_calls(answer: Answer) -> int:
    """The AWS calls that the answer's Server-Timing tells of."""
    timing = answer.headers["Server-Timing"]
    return int(timing.partition("aws;dur=")[2].partition('desc="')[2].partition(" ")[0])


def let_transactions_meet() -> None:
    """From here to the test's end, what meets a transaction is refused, as under load on AWS.

    On by itself in a race of `at_once`; against a deployment, where things meet anyway, it is void.
    """
    faults.add(Fault("dynamodb", kind="conflicts"))


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    """Makes all calls in threads that start together; their answers in the order of the calls."""
    let_transactions_meet()
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> Answer:
        barrier.wait(timeout=30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
