"""Scenarios of projects and of sockets."""

import json
import uuid
from typing import Any

from tests.e2e.policies.lane import Lane

Json = dict[str, Any]


def _project(lane: Lane, tenant: str) -> tuple[Any, str]:
    """(project, its first job) just created in the tenant, with one user."""
    import app  # noqa: F401  declares the jobs
    from chalicelib.kernel.tenancy import Caller as By
    from chalicelib.people.models import Person
    from chalicelib.projects import service

    person = uuid.uuid4().hex
    Person(
        tenant,
        f"person#{person}",
        name="Ann",
        name_key="ann",
        email="ann@example.com",
        email_key="ann@example.com",
        role="staff",
        status="active",
        created_at="2026-01-01T00:00:00Z",
        created_by="root",
        invitation_sent_at=0,
        invitation_expires_at=0,
    ).save()
    tx = service.Naming(tenant)
    by = By("root", "manager", tenant, "root@example.com")
    new = service.NewProject(f"P {person}", "", "simulated", "local-1", (person,))
    project = service.create(tx, by, new, base_url="https://x.example")
    tx.commit()
    return project, tx._jobs[0].id


def makes_a_project(lane: Lane) -> None:
    """The first of a tenant, whose data key is made with it."""
    _make(lane, lane.tenant())


def makes_a_project_where_there_is_a_key(lane: Lane) -> None:
    from chalicelib.kernel import vault

    tenant = lane.tenant()
    vault.seal(tenant, "a", "secret")
    _make(lane, tenant)


def _make(lane: Lane, tenant: str) -> None:
    from chalicelib.projects import models

    project, _ = _project(lane, tenant)
    run = {"tenant": tenant, "project": project.id, "run": 1, "kind": "provision", "retry": 0}
    for step in ("ensure_project", "attach_participants"):
        assert lane.invoke({**run, "step": step})["outcome"] == "ok"
    listed = lane.invoke({**run, "step": "list_batches", "next": None})
    for batch in listed["batches"]:
        assert lane.invoke({**run, "step": "sync_users", **batch})["failed"] == 0
    assert lane.invoke({**run, "step": "finish"})["outcome"] == "ok"
    now = models.get_project(tenant, project.id)
    assert now is not None
    assert now.status == "active", now.error
    lane.must_hold("notify", tenant)


def ends_what_takes_too_long(lane: Lane) -> None:
    from chalicelib.projects import models
    from chalicelib.projects.models import Project

    tenant = lane.tenant()
    project, _ = _project(lane, tenant)
    project.update([Project.limit_at.set(1), Project.watch_at.set(1)])
    lane.invoke(_minute(), says="run ended")
    now = models.get_project(tenant, project.id)
    assert now is not None
    assert now.status == "failed", now.status
    lane.must_hold("notify", tenant)


def _minute() -> Json:
    event: Json = dict.fromkeys(("version", "id", "account", "time", "region"), "")
    return {**event, "detail-type": "Scheduled Event", "source": "", "resources": [], "detail": {}}


def starts_and_switches_off_a_project(lane: Lane) -> None:
    from chalicelib.kernel.jobs import ledger
    from chalicelib.kernel.jobs.outbox import Transaction
    from chalicelib.projects import models, runs
    from chalicelib.projects.models import Project

    tenant = lane.tenant()
    _, job = _project(lane, tenant)
    lane.invoke(lane.event("work", _body("projects.start", tenant, job)))
    started = ledger.get(tenant, job, consistent=True)
    assert started is not None
    assert started.status == "done", started.last_error

    project, _ = _project(lane, tenant)
    project.update([Project.status.set("active")])
    now = models.get_project(tenant, project.id)
    assert now is not None
    with Transaction(tenant) as tx:
        runs.suspend(tx, now)
    lane.invoke(lane.event("work", _body("projects.suspend", tenant, tx._jobs[0].id)))
    now = models.get_project(tenant, project.id)
    assert now is not None
    assert now.status == "suspended", now.status


def _body(type_: str, tenant: str, job_id: str) -> str:
    return json.dumps({"v": 1, "type": type_, "tenant": tenant, "job": job_id})


def opens_a_socket(lane: Lane) -> None:
    from chalicelib.kernel import sockets

    connection = uuid.uuid4().hex
    event = _of_socket(connection, "$connect", queryStringParameters={"ticket": _ticket(lane)})
    assert lane.invoke(event)["statusCode"] == 200
    assert sockets._find(connection)


def closes_a_socket(lane: Lane) -> None:
    from chalicelib.kernel import sockets

    connection = uuid.uuid4().hex
    assert sockets.connect(connection, _ticket(lane))
    assert lane.invoke(_of_socket(connection, "$disconnect"))["statusCode"] == 200
    assert not sockets._find(connection)


def hears_nobody_without_a_socket(lane: Lane) -> None:
    event = _of_socket(uuid.uuid4().hex, "$default", body='{"subscribe": "project#x"}')
    assert lane.invoke(event)["statusCode"] == 200


def _ticket(lane: Lane) -> str:
    from chalicelib.kernel import sockets
    from chalicelib.kernel.tenancy import Caller as By

    ticket, transaction = sockets.issue(By("root", "manager", lane.tenant()))
    transaction.commit()
    return ticket


def _of_socket(connection: str, route: str, **more: Any) -> Json:
    place = {"domainName": "a1.execute-api.eu-central-1.amazonaws.com", "stage": "api"}
    context = {**place, "connectionId": connection, "routeKey": route, "apiId": "a1"}
    return {"requestContext": context, "isBase64Encoded": False, **more}
