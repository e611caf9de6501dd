"""A request that succeeds for each route that the app mounts, with what it needs made before."""

import re
from functools import partial
from itertools import count
from typing import Any

from chalicelib.kernel.http.routes import Route
from chalicelib.kernel.notify import limits
from infra.local import faults
from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Client
from tests.functional.projects.rows import participate, project

HERE = "tests/contract/sample_requests.py"
_numbers = count()


def mounted() -> list[Route]:
    import app  # noqa: F401  mounts them
    from chalicelib.kernel.http import mounting

    return [route for route in mounting.mounted() if route.in_openapi]


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


class Requests:
    """A request that succeeds, for any route, made from the API's own description."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self.batch_id = ""  #: of the last import
        self.users = 0
        self.crowded = ""  #: a project with as many participants
        self.client = Client(cloud.url, cloud.issuer.token)
        self.admin = self.client.as_("admin", None).naming("t1")
        self.in_openapi = self.client.send("GET", "/openapi.json").json()

    def send(self, route: Route, **query: Any) -> Answer:
        record, body = self._record(route), self._body(route)
        fresh = self.client.as_("staff", sub=f"fresh{next(_numbers)}")  # who is bound by accepting
        caller = self.admin if route.allow else fresh
        send = partial(caller.send, route.method, route.path.format(**record), params=query)
        self.admin.get("/admin/v1/users?per_page=1")  # token and tenant are known from here on
        known_figures("simulated")
        faults.clear()
        answer = send(**body)
        assert answer.status_code < 400, (
            f"{named(route)}: make what it needs in {HERE}: {answer.text}"
        )
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
            "project_id": lambda: self._project(route),
            "provider": lambda: "openstack",
            "name": region,
        }
        names = re.findall(r"{(\w+)}", route.path)
        for name in names:
            assert name in makers, f"{named(route)}: add to `makers` in {HERE} how to make {name}"
        found = {name: makers[name]() for name in names}
        if {"project_id", "user_id"} <= set(found):
            participate("t1", found["project_id"], found["user_id"])
        if route.path.endswith("resend-invitation"):
            self._cloud.advance(61)
        if route.path.endswith("reactivate"):
            self.admin.delete(f"/admin/v1/users/{found['user_id']}")
        return found

    def _first(self, path: str) -> str:
        return str(self.admin.get(f"{path}?per_page=1").json()["data"][0]["id"])

    def _fresh_user(self) -> str:
        answer = self.admin.create_user(email=f"fresh{next(_numbers)}@example.com")
        return str(answer.json()["data"]["user"]["id"])

    def _project(self, route: Route) -> str:
        """One in a status that the route takes; with many participants where they are listed."""
        wanted = {"retry_project": "failed", "resume_project": "suspended"}
        if route.name == "list_project_users":
            return self.crowded
        return project("t1", wanted.get(route.name, "active"))

    def _body(self, route: Route) -> dict[str, Any]:
        described = self.in_openapi["paths"][route.path][route.method.lower()]
        content = described.get("requestBody", {}).get("content", {})
        if route.name == "remove_suppression":
            limits.suppress("t1", "email", "bounced@example.com", "bounced")
            return {"params": {"address": "bounced@example.com"}}
        if not content:
            return {"params": {"token": self._token()}} if "token" in str(described) else {}
        media = next(iter(content))
        example = content[media].get("example")
        assert example is not None, (
            f"{named(route)}: its body has no example; give the route `samples`"
        )
        if isinstance(example, str):
            fresh = example.replace("ann@", f"fresh{next(_numbers)}@")
            return {"data": fresh, "headers": {"Content-Type": media}}
        return {"data" if "urlencoded" in media else "json": self._fresh(example)}

    def _fresh(self, example: dict[str, Any]) -> dict[str, Any]:
        """The example with what may exist only once made new."""
        if "address" in example and "provider" in example:
            return {**example, "name": f"fresh-{next(_numbers)}"}
        if "email" in example:
            return {**example, "email": f"fresh{next(_numbers)}@example.com"}
        if "user_ids" in example and "name" in example:
            users = [self._fresh_user() for _ in range(3)]
            return {**example, "name": f"Fresh {next(_numbers)}", "user_ids": users}
        if "user_ids" in example:
            return {"user_ids": [self._fresh_user()]}
        if "description" in example:
            return {"name": f"Fresh {next(_numbers)}"}
        if "token" in example:
            return {**example, "token": self._token()}
        if "defaults" in example and "id" in example:
            return {**example, "id": f"fresh-{next(_numbers)}"}
        return {key: value for key, value in example.items() if key != "status"}

    def _token(self) -> str:
        from chalicelib.people import models
        from chalicelib.people.invitations import service as invitations

        person = models.get_person("t1", self._fresh_user())
        assert person is not None
        return invitations.token_of(person)


def known_figures(provider: str) -> None:
    """Read as configuration once a minute, like the tenant."""
    from chalicelib.projects import durations

    durations.find(provider)


def region() -> str:
    """A region of OpenStack, past the API; its name."""
    from chalicelib.kernel.store.write_set import WriteSet
    from chalicelib.projects.regions import service as regions

    name = f"grown-{next(_numbers)}"
    values = {"account": "A", "username": "u", "password": "p"}
    with WriteSet() as tx:
        regions.create(tx, "openstack", name, {"address": "https://8.8.8.8", **values})
    return name
