"""Runs of a suspended tenant stand still, and end well when it is active again."""

from datetime import datetime

import pytest
from msgspec.structs import replace

from chalicelib.kernel.aws import clients
from chalicelib.kernel.jobs import completion
from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Caller, Client
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import Workflow, created, people, status
from tests.functional.tenants.suspended import reactivate, suspend, wait

pytestmark = pytest.mark.local


@pytest.fixture(autouse=True)
def _just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each function asks for the addresses of its queues itself."""
    monkeypatch.setattr(clients, "settings", replace(clients.settings, queue_url_base=""))
    monkeypatch.setattr(clients, "_fetch_queue_url", clients._fetch_queue_url.__wrapped__)


@pytest.fixture
def platform(client: Client) -> Caller:
    return client.as_("admin", None)


def test_a_run_that_is_under_way_stands_still_and_has_the_rest_of_its_time_afterwards(
    cloud: LocalCloud, client: Client, platform: Caller, workflow: Workflow
) -> None:
    workflow.before("list_batches", lambda: suspend(cloud, platform))
    maker = client.as_("manager", email="maker@example.com", email_verified=True)
    project_id = created(maker, user_ids=people(2, "customer", prefix="c"))
    cloud.run_until_idle()
    row_ = aws.rows("projects")[f"project#{project_id}"]
    left = int(row_["parked_seconds"]["N"])
    assert 60 <= left <= 300
    calls = projects.provider_calls()
    wait(cloud, days=3)
    assert projects.provider_calls() == calls

    reactivate(cloud, platform)
    shown = status(client.as_("manager"), project_id)
    assert shown["status"] == "active"
    assert shown["progress"]["users"]["synced"] == shown["progress"]["users"]["total"] == 2
    assert len(projects.credentials(project_id)) == 2
    ready = [mail for mail in mailbox.sent() if "is ready" in mail.subject]
    assert [mail.to for mail in ready] == ["maker@example.com"]


def test_a_run_whose_execution_ended_meanwhile_goes_on(
    cloud: LocalCloud, client: Client, manager: Caller, platform: Caller, workflow: Workflow
) -> None:
    """Nobody's step could park it; the reconciler does."""
    faults.add(Fault("states", "StartExecution", "throttle", times=None))
    project_id = created(manager)
    cloud.run_until_idle()
    suspend(cloud, platform)
    faults.clear()
    wait(cloud, days=1)
    assert aws.rows("projects")[f"project#{project_id}"]["status"] == {"S": "provisioning"}

    reactivate(cloud, platform)
    assert status(client.as_("manager"), project_id)["status"] == "active"


def jobs_that_go_on(manager: Caller) -> list[str]:
    return [job["id"] for job in manager.jobs(type="projects.go_on")]


def test_two_attempts_at_a_step_park_the_run_once(
    cloud: LocalCloud, client: Client, manager: Caller, platform: Caller, workflow: Workflow
) -> None:
    workflow.trouble("ensure_project", "twice at once")
    workflow.before("ensure_project", lambda: suspend(cloud, platform))
    project_id = created(manager)
    cloud.run_until_idle()
    assert aws.rows("projects")[f"project#{project_id}"]["run"] == {"N": "1"}

    reactivate(cloud, platform)
    faults.clear()
    fresh = client.as_("manager")
    assert status(fresh, project_id)["status"] == "active"
    assert len(jobs_that_go_on(fresh)) == 1
    assert aws.rows("projects")[f"project#{project_id}"]["run"] == {"N": "2"}


def test_a_run_whose_job_was_cancelled_goes_on_too(
    cloud: LocalCloud, client: Client, manager: Caller, platform: Caller, workflow: Workflow
) -> None:
    """Within an hour: the reconciler looks after what is parked."""
    workflow.before("ensure_project", lambda: suspend(cloud, platform))
    project_id = created(manager)
    cloud.run_until_idle()
    (sk,) = [
        sk for sk, item in aws.rows("kernel").items() if item.get("type") == {"S": "projects.go_on"}
    ]
    assert completion.cancel("t1", sk.removeprefix("job#"))
    wait(cloud, days=2)
    reactivate(cloud, platform)
    for _ in range(60):
        cloud.advance(60)
        cloud.run_until_idle()

    shown = status(client.as_("manager"), project_id)
    assert shown["status"] == "active"


def test_the_time_of_a_suspension_is_in_no_estimate(
    cloud: LocalCloud, client: Client, manager: Caller, platform: Caller, workflow: Workflow
) -> None:
    workflow.before("list_batches", lambda: suspend(cloud, platform))
    project_id = created(manager)
    cloud.run_until_idle()
    wait(cloud, days=3)
    reactivate(cloud, platform)
    assert status(client.as_("manager"), project_id)["status"] == "active"

    answer = projects.create(client.as_("manager", "t2"), "Birch").json()
    ends_at = datetime.fromisoformat(answer["estimated_completion"])
    began_at = datetime.fromisoformat(answer["data"]["created_at"])
    assert (ends_at - began_at).total_seconds() < 600
