"""Scenarios of projects."""

import json
import uuid
from typing import Any

from tests.e2e.policies import sockets
from tests.e2e.policies.lane import Lane

Json = dict[str, Any]


#: A provider that does not answer; the lane's functions may ask for it.
NOBODY = {
    "address": "http://127.0.0.1:9/v3",
    "account": "Default/admin",
    "username": "backburner",
    "password": "not asked for",
}


def new(
    lane: Lane, tenant: str, provider: str = "simulated", region: str = "local-1"
) -> tuple[Any, str]:
    """(project, its first job) just created in the tenant, with one user."""
    import app  # noqa: F401  declares the jobs
    from chalicelib.kernel.auth.tenancy import Caller as By
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
    tx = service.ProjectTransaction(tenant)
    by = By("root", "manager", tenant, "root@example.com")
    wanted = service.NewProject(f"P {person}", "", provider, region, (person,))
    project = service.create(tx, by, wanted, base_url="https://x.example")
    tx.commit()
    return project, tx._jobs[0].id


def makes_a_project(lane: Lane) -> None:
    """The first of a tenant, whose data key is made with it."""
    _make(lane, lane.tenant())


def makes_a_project_where_there_is_a_key(lane: Lane) -> None:
    from chalicelib.kernel.auth import vault

    tenant = lane.tenant()
    vault.seal(vault.Label(tenant_id=tenant, use=vault.CREDENTIAL, name="a"), "secret")
    _make(lane, tenant)


def _make(lane: Lane, tenant: str) -> None:
    from chalicelib.projects import models

    project, _ = new(lane, tenant)
    gone = sockets.follow_and_go(tenant, project.id)
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
    sockets.must_be_forgotten(gone)
    lane.must_hold("notify", tenant)


def takes_away_from_who_left_meanwhile(lane: Lane) -> None:
    """Somebody was deactivated after they had become a participant of a project being made."""
    tenant = lane.tenant()
    project, _ = new(lane, tenant)
    run = {"tenant": tenant, "project": project.id, "run": 1, "kind": "provision", "retry": 0}
    for step in ("ensure_project", "attach_participants"):
        assert lane.invoke({**run, "step": step})["outcome"] == "ok"
    who = _deactivated(tenant, project.id)
    for batch in lane.invoke({**run, "step": "list_batches", "next": None})["batches"]:
        assert lane.invoke({**run, "step": "sync_users", **batch})["failed"] == 0
    assert _part(project, who) == ("gone", "removed")


def follows_who_left(lane: Lane) -> None:
    """Somebody in an active project was deactivated: a run is begun that takes all away."""
    from chalicelib.kernel.jobs.outbox import Transaction
    from chalicelib.projects import models
    from chalicelib.projects.models import Project

    tenant = lane.tenant()
    project, _ = new(lane, tenant)
    project.update([Project.status.set("active")])
    who = _deactivated(tenant, project.id)
    with Transaction(tenant) as tx:
        job = tx.enqueue("projects.follow_person", person_id=who)
    lane.invoke(lane.event("work", _body("projects.follow_person", tenant, job.id)))
    assert _part(project, who) == ("gone", "waiting")
    now = models.get_project(tenant, project.id)
    assert now is not None
    assert (now.status, now.run) == ("provisioning", 2)
    lane.must_hold("work", tenant)


def _deactivated(tenant: str, project_id: str) -> str:
    """Somebody who takes part and was deactivated since; their id."""
    from chalicelib.kernel import clock
    from chalicelib.people import service
    from chalicelib.people.service import NewPerson
    from chalicelib.projects import models
    from chalicelib.projects.rules import Candidate

    who, email = clock.new_id(), f"{uuid.uuid4().hex}@example.com"
    person = service.new_person(tenant, who, NewPerson("Bob", email, "staff"), created_by="root")
    person.status = "deactivated"
    person.save()
    models.participant(tenant, project_id, Candidate(who, "Bob", email, "member")).save()
    return who


def _part(project: Any, who: str) -> tuple[str, str]:
    """What is wanted of somebody's part, and how far it is."""
    from chalicelib.projects import models

    part = models.find_participants(str(project.tenant), project.id, [who])[who]
    return part.wanted, part.state


def ends_what_takes_too_long(lane: Lane) -> None:
    """One whose workflow is still at work: it is stopped, and the project has failed."""
    from chalicelib.projects import models
    from chalicelib.projects.models import Project
    from chalicelib.projects.workflow import runs

    tenant = lane.tenant()
    project, _ = new(lane, tenant)
    runs.start(tenant, project.id, 1)
    gone = sockets.follow_and_go(tenant, project.id)
    project.update([Project.limit_at.set(1), Project.watch_at.set(1)])
    lane.invoke(_minute(), says="run ended")
    now = models.get_project(tenant, project.id)
    assert now is not None
    assert now.status == "failed", now.status
    assert _execution_of(lane, project) == "ABORTED"
    sockets.must_be_forgotten(gone)
    lane.must_hold("notify", tenant)


def _execution_of(lane: Lane, project: Any) -> str:
    from chalicelib.projects.workflow import runs

    arn = runs.machine_arn().replace(":stateMachine:", ":execution:")
    name = f"{arn}:{runs.execution_name(project)}"
    return str(lane.client("stepfunctions").describe_execution(executionArn=name)["status"])


def _minute() -> Json:
    event: Json = dict.fromkeys(("version", "id", "account", "time", "region"), "")
    return {**event, "detail-type": "Scheduled Event", "source": "", "resources": [], "detail": {}}


def starts_and_switches_off_a_project(lane: Lane) -> None:
    from chalicelib.kernel.jobs import ledger
    from chalicelib.projects import models

    tenant = lane.tenant()
    _, job = new(lane, tenant)
    lane.invoke(lane.event("work", _body("projects.start", tenant, job)))
    started = ledger.get(tenant, job, consistent=True)
    assert started is not None
    assert started.status == "done", started.last_error

    project, _ = new(lane, tenant)
    gone = sockets.follow_and_go(tenant, project.id)
    lane.invoke(lane.event("work", _body("projects.suspend", tenant, _suspended(project))))
    now = models.get_project(tenant, project.id)
    assert now is not None
    assert now.status == "suspended", now.status
    sockets.must_be_forgotten(gone)


def tells_who_made_a_project(lane: Lane) -> None:
    """The mail says what the project is now."""
    from chalicelib.kernel.jobs import ledger
    from chalicelib.kernel.jobs.outbox import Transaction
    from chalicelib.kernel.notify import notices

    tenant = lane.tenant()
    project, _ = new(lane, tenant)
    with Transaction(tenant) as tx:
        to = {"email": "ann@example.com"}
        jobs = notices.enqueue(tx, "projects.active", to, project_id=project.id, run=1)
    job = jobs["email"].id
    lane.invoke(lane.event("notify", _body("projects.active", tenant, job)))
    told = ledger.get(tenant, job, consistent=True)
    assert told is not None
    assert told.status == "done", told.last_error


def _suspended(project: Any) -> str:
    """The job that switches the project off."""
    from chalicelib.kernel.jobs.outbox import Transaction
    from chalicelib.projects import models
    from chalicelib.projects.models import Project
    from chalicelib.projects.workflow import runs

    project.update([Project.status.set("active")])
    now = models.get_project(project.tenant, project.id)
    assert now is not None
    with Transaction(project.tenant) as tx:
        runs.suspend(tx, now, None)
    return str(tx._jobs[0].id)


def logs_in_at_a_provider(lane: Lane) -> None:
    """With the region's password: it gets as far as to hear that nobody is there.

    The password was sealed by an earlier release, and is sealed anew.
    """
    from chalicelib.kernel.jobs import ledger
    from chalicelib.kernel.store.write_set import WriteSet
    from chalicelib.projects.regions import service as regions
    from tests import settings

    tenant, name, tx = lane.tenant(), uuid.uuid4().hex, WriteSet()
    with settings.changed(seal_form=1):
        regions.create(tx, "openstack", name, NOBODY)
    tx.commit()
    project, _ = new(lane, tenant, "openstack", name)
    job = _suspended(project)
    event = lane.event("work", _body("projects.suspend", tenant, job))
    answer = lane.invoke(event, says=("call failed", "job"))
    assert answer["batchItemFailures"], "the job shall be tried again"
    tried = ledger.get(tenant, job, consistent=True)
    assert tried is not None
    assert "cannot be reached" in str(tried.last_error), tried.last_error
    assert regions.get("openstack", name).sealed_password.startswith(b"\x02")


def _body(type_: str, tenant: str, job_id: str) -> str:
    return json.dumps({"v": 1, "type": type_, "tenant": tenant, "job": job_id})
