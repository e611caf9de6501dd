"""A worker in its own process, which can be killed while the local cloud continues."""

import signal

import pytest

from tests.local_cloud.conftest import Run
from tests.local_cloud.programs import Cloud, Program, cloud_of, until

pytestmark = pytest.mark.local

LEASE_SECONDS = 3
PEOPLE = 20


@pytest.fixture
def cloud(start: Run) -> Cloud:
    """A local cloud without a worker."""
    seconds = str(LEASE_SECONDS)
    return cloud_of(
        start("infra.local", "--port=0", "--no-worker", "--sweep-seconds=1",
              "--visibility-seconds", seconds, "--lease-seconds", seconds)
    )  # fmt: skip


def start_worker(start: Run, cloud: Cloud) -> Program:
    """Starts a worker with the command of the greeting."""
    module_and_arguments = cloud.worker_command.split(" -m ")[1].split()
    worker = start(*module_and_arguments)
    worker.until_printed("Working")
    return worker


def test_it_works_the_queues_by_http_and_its_mails_are_in_the_mailbox(
    start: Run, cloud: Cloud
) -> None:
    assert cloud.create_user("ann@example.com", phone="+447700900123").status_code == 201
    assert not cloud.control("GET", "/state")["idle"]
    worker = start_worker(start, cloud)
    cloud.until_idle()
    assert cloud.recipients() == {"ann@example.com", "+447700900123"}
    worker.until_printed(r"job people\.invitation \(email\)  done  attempt 1")
    an_execution_that_a_worker_starts_is_run_by_the_local_cloud(cloud)
    assert worker.end() == 0
    assert cloud.program.end() == 0


def an_execution_that_a_worker_starts_is_run_by_the_local_cloud(cloud: Cloud) -> None:
    body = {"name": "Alder", "provider": "simulated", "region": "local-1"}
    assert cloud.send("POST", "/admin/v1/projects", body).status_code == 201
    cloud.until_idle()
    cloud.program.until_printed(r"execution backburner-local-provision-project \w+-1  succeeded")
    assert cloud.control("GET", "/state")["executions"]["succeeded"] == 1
    (project,) = cloud.send("GET", "/admin/v1/projects").json()["data"]
    assert project["status"] == "active"


@pytest.mark.thorough
def test_what_a_killed_worker_had_begun_is_taken_over_by_the_next(start: Run, cloud: Cloud) -> None:
    emails = {f"person-{number}@example.com" for number in range(PEOPLE)}
    for email in emails:
        assert cloud.create_user(email).status_code == 201
    worker = start_worker(start, cloud)
    until(lambda: cloud.control("GET", "/state")["queues"]["notify"]["in_flight"], "in flight")
    assert worker.end(signal.SIGKILL) == -signal.SIGKILL
    assert not cloud.control("GET", "/state")["idle"]
    next_worker = start_worker(start, cloud)
    cloud.until_idle()
    assert cloud.recipients() == emails
    ends_with_a_sentence_when_the_cloud_is_gone(next_worker, cloud)


def ends_with_a_sentence_when_the_cloud_is_gone(worker: Program, cloud: Cloud) -> None:
    assert cloud.program.end() == 0
    assert worker.wait() == 1
    assert worker.output.endswith("The local cloud does not answer any more.\n")


def test_it_does_not_start_without_a_local_cloud(start: Run) -> None:
    worker = start("infra.local.worker", "http://127.0.0.1:9", "http://127.0.0.1:9")
    assert worker.wait() == 1
    assert worker.output.startswith("There is no local cloud: ")
