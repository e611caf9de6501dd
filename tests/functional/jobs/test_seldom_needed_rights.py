"""What functions need on a stage, where each has a memory of its own and has just started.

In the local cloud they share a process, and what one has asked for, such as the address of a queue
or a data key, another knows. Here each of them asks. Beside it stands what is seldom needed, such
as forgetting a browser that has gone without a word. `make test` shows that every right of every
policy is needed by a test; for most of them that is a test of what the function does all day.
"""

import json
import threading
import uuid
from typing import Any

import pytest
from msgspec.structs import replace
from websockets.sync.client import connect

from chalicelib.kernel import cache
from chalicelib.kernel.auth.tenancy import Caller as By
from chalicelib.kernel.aws import clients
from chalicelib.kernel.jobs import batches
from chalicelib.kernel.jobs.outbox import Delivery, Transaction
from chalicelib.kernel.jobs.worker import BatchIncomplete
from chalicelib.kernel.sockets import connections
from chalicelib.projects.models import Project
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws, sample_jobs
from tests.functional.batches import members
from tests.functional.client import Caller, Client
from tests.functional.http.lines import PATIENCE, Line, kept, ticket_of
from tests.functional.people.uploads import upload
from tests.functional.projects.workflow import Workflow, created, joined, path, status
from tests.functional.sending import events

QUEUES = ["notify", "work", "bulk"]
MINUTE = {
    **dict.fromkeys(("version", "account", "region", "detail-type", "source", "time", "id"), ""),
    "resources": [],
    "detail": {},
}
REGION = {
    "provider": "openstack",
    "name": "frankfurt",
    "address": "https://cloud.example.com:5000/v3",
    "account": "Default/admin",
    "username": "backburner",
    "password": "of the platform",
}


@pytest.fixture(autouse=True)
def _just_started(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues' addresses are asked for each time, and nothing is remembered yet."""
    monkeypatch.setattr(clients, "settings", replace(clients.settings, queue_url_base=""))
    monkeypatch.setattr(clients, "_fetch_queue_url", clients._fetch_queue_url.__wrapped__)
    members.forget()
    cache.forget_all()


# Queues ------------------------------------------------------------------------------------------


def test_a_route_pushes_what_it_has_saved(manager: Caller) -> None:
    manager.create_user()
    assert len(aws.take_messages("notify")) == 1


@pytest.mark.parametrize("queue", QUEUES)
def test_a_message_that_nobody_can_read_goes_to_the_dead_letters(
    cloud: LocalCloud, queue: str
) -> None:
    aws.put_message(queue, "no message of ours")
    cloud.run_until_idle()
    assert aws.take_messages(f"{queue}-dead") == ["no message of ours"]


def test_what_ses_said_is_kept_while_the_store_is_down(cloud: LocalCloud) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "x"}))
    batch = events.batch_of(events.about("hard-bounce", job_id))
    faults.add(Fault("dynamodb", times=None))
    with pytest.raises(BatchIncomplete):
        cloud.invoke("feedback", batch, events.Context())


def test_the_sweep_pushes_to_each_queue_what_could_not_be_pushed(cloud: LocalCloud) -> None:
    faults.add(Fault("sqs", times=None))
    with Transaction("t1") as tx:
        for queue in QUEUES:
            tx.enqueue("functional.count", Delivery(queue=queue), label=queue)
    faults.clear()
    assert [aws.take_messages(queue) for queue in QUEUES] == [[], [], []]
    cloud.advance(600)
    assert [len(aws.take_messages(queue)) for queue in QUEUES] == [1, 1, 1]


# Jobs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queue", QUEUES)
def test_a_unique_job_of_a_batch_gives_its_lock_back_and_ends_the_batch(
    cloud: LocalCloud, queue: str
) -> None:
    with Transaction("t1") as tx:
        batch = batches.create(tx, finally_="batches.finally_")
        tx.enqueue("batches.only", Delivery(queue=queue, batch=batch), label="a")
    with Transaction("t1") as tx:
        tx.enqueue("batches.only", Delivery(queue=queue), label="a")
    cloud.run_until_idle()
    assert members.ran == {"a": 1, "finally": 1}
    assert [sk for sk in aws.rows("kernel") if sk.startswith("unique#")] == []


@pytest.mark.parametrize("queue", QUEUES)
def test_a_job_pushes_others_to_any_queue(cloud: LocalCloud, queue: str) -> None:
    sample_jobs.forget()
    with Transaction("t1") as tx:
        tx.enqueue("functional.everywhere", Delivery(queue=queue), queues=QUEUES)
    cloud.run_until_idle()
    assert sample_jobs.successes == dict.fromkeys(QUEUES, 1)


@pytest.mark.parametrize("queue", ["work", "bulk"])
def test_an_import_is_worked_from_whatever_queue_a_release_put_it_into(
    cloud: LocalCloud, manager: Caller, queue: str
) -> None:
    upload(manager, "name,email,phone,role\nBob,bob@example.com,,staff\n")
    (message,) = aws.take_messages("bulk")
    aws.put_message(queue, message)
    cache.forget_all()
    cloud.run_until_idle()
    assert [user["name"] for user in manager.get("/admin/v1/users").json()["data"]] == ["Bob"]


# Secrets -----------------------------------------------------------------------------------------


def test_each_function_opens_what_another_has_sealed(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    platform = client.as_("admin", None)
    for name in ("frankfurt", "munich"):
        assert platform.post("/admin/v1/regions", {**REGION, "name": name}).status_code == 201
        cache.forget_all()
    project_id = created(manager, provider="openstack", region="frankfurt")
    aws.take_messages("work")
    Project.get("t1", f"project#{project_id}").update([Project.status.set("active")])
    assert manager.post(path(project_id, "suspend")).status_code == 202
    cache.forget_all()
    cloud.run_until_idle()
    (job,) = manager.jobs(type="projects.suspend")
    assert "cannot be reached" in job["last_error"]


# Sockets -----------------------------------------------------------------------------------------


def gone(tenant: str, topic: str) -> str:
    """A connection that follows a topic, and of whose end nobody has heard."""
    ticket, transaction = connections.issue(By("root", "manager", tenant))
    transaction.commit()
    connection_id = uuid.uuid4().hex
    assert connections.connect(connection_id, ticket)
    socket = connections._find(connection_id)
    assert socket
    assert connections._follow(socket, topic)
    return connection_id


def test_the_workflow_and_a_job_forget_who_has_gone(cloud: LocalCloud, client: Client) -> None:
    maker = client.as_("manager", email="maker@example.com", email_verified=True)
    project_id = created(maker)
    gone("t1", f"project#{project_id}")
    cloud.run_until_idle()
    assert status(maker, project_id)["status"] == "active"
    assert kept() == []

    gone("t1", f"project#{project_id}")
    maker.post(path(project_id, "suspend"))
    cloud.run_until_idle()
    assert status(maker, project_id)["status"] == "suspended"
    assert kept() == []


def test_a_run_past_its_limit_is_stopped_its_maker_told_and_who_has_gone_forgotten(
    cloud: LocalCloud, client: Client
) -> None:
    maker = client.as_("manager", email="maker@example.com", email_verified=True)
    project_id = created(maker)
    workflow, is_over = Workflow(cloud), threading.Event()

    def let_it_take_too_long() -> None:
        row = Project.get("t1", f"project#{project_id}")
        row.update([Project.limit_at.set(1), Project.watch_at.set(1)])
        gone("t1", f"project#{project_id}")
        cloud.invoke("reconcile", MINUTE, events.Context())
        is_over.set()

    workflow.before("ensure_project", let_it_take_too_long)
    try:
        cloud.run_until_idle()  # nothing is at work once it is stopped, while its step still ends
        assert is_over.wait(PATIENCE)
    finally:
        workflow.behave()
    assert status(maker, project_id)["status"] == "failed"
    assert "its time limit" in status(maker, project_id)["error"]
    assert len(maker.jobs(type="projects.failed")) == 1
    assert kept() == []


def test_who_takes_part_follows_and_who_asks_and_goes_is_forgotten(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    user_id, mia = joined(client, "mia@example.com", "staff")
    project_id = created(manager, user_ids=[user_id])
    cloud.run_until_idle()

    topic = f"project#{project_id}"
    with connect(ticket_of(mia)["url"]) as connection:
        assert Line(connection).ask(subscribe=topic) == {"subscribed": topic}
    cloud.sockets.close_all()

    asked = _message(gone("t1", topic), {"unsubscribe": "project#other"})
    assert cloud.invoke("websocket_message", asked, events.Context())["statusCode"] == 200
    assert kept() == []


def _message(connection_id: str, content: dict[str, str]) -> dict[str, Any]:
    place = {"domainName": "local.execute-api.eu-central-1.amazonaws.com", "stage": "local"}
    context = {**place, "connectionId": connection_id, "routeKey": "$default", "apiId": "local"}
    return {"requestContext": context, "isBase64Encoded": False, "body": json.dumps(content)}
