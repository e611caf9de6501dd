"""Lambda as the workflow meets it on a bad day, and what tests ask of projects."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from infra.local import invocation
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client, let_transactions_meet

Trouble = Literal["crash before", "crash after", "answer lost and repeated", "twice at once"]
FUNCTION = "backburner-local-provision"
MISSING = "01m81vfpqa4g492km3ew3kvx3r"
Function = Callable[[dict[str, Any], Any], Any]


class Crash(BaseException):
    """The function's process dies: nothing in it may catch this."""


class Workflow:
    """The function `provision`, as the state machine calls it."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.calls: list[dict[str, Any]] = []  #: events, in order
        self._lock = threading.Lock()
        self._context: Any = None  #: of the last call
        self._functions: Any = cloud.executions._functions
        self._function: Function = self._functions[FUNCTION]
        self._functions[FUNCTION] = self._call
        self._troubles: dict[str, tuple[Trouble, float]] = {}
        self._before: dict[str, Callable[[], object]] = {}
        self._watch: Callable[[], object] = lambda: None
        self.unmet: set[str] = set()  #: what was asked for and no call has met so far

    def behave(self) -> None:
        """No more trouble, and nobody looks on."""
        self._troubles.clear()
        self._functions[FUNCTION] = self._function

    def trouble(self, step: str, kind: Trouble, times: float = 1) -> None:
        """The next calls of a step go wrong."""
        self._troubles[step] = (kind, times)
        self.unmet.add(f"{kind} at {step}")

    def healed(self) -> None:
        self._troubles.clear()

    def before(self, step: str, do: Callable[[], object]) -> None:
        """Done once, just before a step's next call."""
        self._before[step] = do
        self.unmet.add(f"before {step}")

    def watch(self, do: Callable[[], object]) -> None:
        """Done before each call of a step."""
        self._watch = do

    def steps(self) -> Counter[str]:
        """How often each step was called."""
        return Counter(each["step"] for each in self.calls)

    def again(self, step: str) -> Any:
        """A copy of the last call of a step, as late as it may be."""
        event = next(each for each in reversed(self.calls) if each["step"] == step)
        return self._function(event, self._context)

    def _call(self, event: dict[str, Any], context: Any) -> Any:
        with self._lock:
            self.calls.append(event)
            self._context = context
            kind = self._next(event["step"])
            do = self._before.pop(event["step"], None)
            met = {f"{kind} at {event['step']}"} | ({f"before {event['step']}"} if do else set())
            self.unmet -= met
        with invocation.of(""):  # the test's own doing, not the function's
            self._watch()
            if do:
                do()
                self._watch()
        if kind == "crash before":
            raise Crash
        if kind == "twice at once":
            let_transactions_meet()
            with ThreadPoolExecutor(2) as pool:
                both = [pool.submit(self._function, event, context) for _ in range(2)]
                answers = [each.result() for each in both]
                return answers[0]
        answer = self._function(event, context)
        if kind == "crash after":
            raise Crash
        if kind == "answer lost and repeated":
            return self._function(event, context)
        return answer

    def _next(self, step: str) -> Trouble | None:
        kind, times = self._troubles.get(step, (None, 0))
        if kind is None or times < 1:
            return None
        self._troubles[step] = (kind, times - 1)
        return kind


def people(count: int, role: str = "staff", tenant: str = "t1", prefix: str = "u") -> list[str]:
    """So many users, past the API: their ids in order."""
    from chalicelib.kernel import clock
    from chalicelib.people import models, rules

    rows = []
    for number in range(count):
        email = f"{prefix}{number}@example.com" if "@" not in prefix else prefix
        rows.append(
            models.person(
                tenant,
                clock.new_id(),
                name=f"Person {number}",
                name_key=f"person {number}",
                email=email,
                email_key=rules.email_key(email),
                role=role,
                status="active",
                created_at=clock.iso(clock.now()),
                created_by="test",
                invitation_sent_at=0,
                invitation_expires_at=0,
            )
        )
    with models.PeopleRecord.batch_write() as writing:
        for row in rows:
            writing.save(row)
            writing.save(models.email_guard(tenant, row.email_key, row.id))
    return sorted(row.id for row in rows)


def joined(client: Client, email: str, role: str = "customer") -> tuple[str, Caller]:
    """A user of t1 and the API as they see it after their first login."""
    (person,) = people(1, role, prefix=email)
    caller = client.as_(role, sub=f"sub-of-{email}", email=email, email_verified=True)
    return person, caller


def create(caller: Caller, name: str = "Alder", **body: Any) -> Answer:
    return caller.post("/admin/v1/projects", {"name": name, **body})


def created(caller: Caller, name: str = "Alder", **body: Any) -> str:
    """The id of a project just accepted."""
    answer = create(caller, name, **body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def path(project_id: str, *more: str) -> str:
    return "/".join(["/admin/v1/projects", project_id, *more])


def ask(caller: Caller, project_id: str, what: str, **options: Any) -> Answer:
    if what == "delete":
        return caller.delete(path(project_id), **options)
    if what == "add":
        return caller.post(path(project_id, "users"), {"user_ids": [MISSING]}, **options)
    return caller.post(path(project_id, what), **options)


def status(caller: Caller, project_id: str) -> dict[str, Any]:
    answer = caller.get(path(project_id, "status"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def step(shown: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in shown["progress"]["steps"] if each["name"] == name]
    return dict(found)


def participants(caller: Caller, project_id: str) -> dict[str, dict[str, Any]]:
    return {each["user_id"]: each for each in caller.listed(path(project_id, "users"))}


def credentials(project_id: str, tenant: str = "t1") -> dict[str, Any]:
    """Credentials kept for a project, by the person's id."""
    prefix = f"credential#{project_id}#"
    rows = aws.rows("projects", tenant)
    return {sk.removeprefix(prefix): row for sk, row in rows.items() if sk.startswith(prefix)}


def provider_calls(region: str = "local-1") -> int:
    """What the simulated provider has been asked so far."""
    from chalicelib.projects.gateway import simulated

    return simulated._made[region]
