"""A suspended tenant's work waits, uncharged and unharmed, and goes on afterwards."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chalicelib.kernel import clock
from chalicelib.kernel.jobs import batches, claims, completion, ledger, parking
from chalicelib.kernel.jobs.outbox import Delivery, Transaction
from infra.local import conflicts, faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws, sample_jobs
from tests.functional.client import Caller, Client, at_once, let_transactions_meet
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import created, status
from tests.functional.tenants.suspended import reactivate, suspend, wait

pytestmark = pytest.mark.local


@pytest.fixture(autouse=True)
def _forget() -> None:
    sample_jobs.forget()


@pytest.fixture
def platform(client: Client) -> Caller:
    return client.as_("admin", None)


def row(job_id: str) -> Any:
    found = ledger.get("t1", job_id, consistent=True)
    assert found is not None
    return found


def notes() -> list[str]:
    return sorted(aws.rows("kernel", "#parked"))


def test_nothing_is_made_or_mailed_meanwhile_and_everything_afterwards(
    cloud: LocalCloud, client: Client, manager: Caller, platform: Caller
) -> None:
    assert manager.create_user(phone="+4915112345678").status_code == 201
    project_id = created(manager, user_ids=[])
    calls = projects.provider_calls()
    suspend(cloud, platform)
    wait(cloud, days=5)

    assert mailbox.sent() == []
    assert projects.provider_calls() == calls
    jobs = [row(sk.partition("#")[2]) for sk in aws.rows("kernel") if sk.startswith("job#")]
    assert {(job.status, int(job.attempts)) for job in jobs} == {("queued", 0)}
    assert {len(job.history) for job in jobs} == {1}

    reactivate(cloud, platform)
    fresh = client.as_("manager")
    sent = [
        message for message in mailbox.sent() if "invites" in f"{message.subject}{message.text}"
    ]
    assert len(sent) == 2
    assert status(fresh, project_id)["status"] == "active"
    invitation = fresh.notifications(kind="people.invitation")
    assert {(each["status"], each["attempts"]) for each in invitation} <= {
        ("sent", 1),
        ("delivered", 1),
    }
    wait(cloud, days=1)
    assert notes() == []


def test_a_job_that_is_not_wanted_later_expires(
    cloud: LocalCloud, platform: Caller, client: Client
) -> None:
    with Transaction("t1") as tx:
        late = clock.epoch_seconds() + 3600
        job = tx.enqueue("functional.count", Delivery(not_after=late), label="late")
    suspend(cloud, platform)
    wait(cloud, days=1)
    assert row(job.id).status == "queued"

    reactivate(cloud, platform)
    assert row(job.id).status == "expired"
    assert sample_jobs.starts["late"] == 0


def test_an_invitation_whose_link_has_expired_meanwhile_is_shown_as_expired(
    cloud: LocalCloud, client: Client, manager: Caller, platform: Caller
) -> None:
    assert manager.create_user().status_code == 201
    suspend(cloud, platform)
    wait(cloud, days=8)
    reactivate(cloud, platform)
    (shown,) = client.as_("manager").notifications(kind="people.invitation")
    assert shown["status"] == "expired"
    assert mailbox.sent() == []


def test_another_tenant_and_the_platform_are_not_held_up(
    cloud: LocalCloud, other: Caller, platform: Caller
) -> None:
    suspend(cloud, platform)
    other.create_user()
    cloud.run_until_idle()

    assert len(mailbox.sent(tenant_id="t2")) == 1


def test_a_parked_job_can_be_cancelled(cloud: LocalCloud, platform: Caller) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "x"}))
    suspend(cloud, platform)
    cloud.run_until_idle()
    assert row(job_id).due_shard.startswith("parked#tenant:t1#")

    assert completion.cancel("t1", job_id)
    reactivate(cloud, platform)
    assert row(job_id).status == "cancelled"
    assert sample_jobs.starts["x"] == 0


def test_members_of_a_batch_that_is_cancelled_meanwhile_do_not_run(
    cloud: LocalCloud, platform: Caller
) -> None:
    with Transaction("t1") as tx:
        batch = batches.create(tx)
        jobs = [
            tx.enqueue("functional.count", Delivery(batch=batch), label="member") for _ in range(3)
        ]
    suspend(cloud, platform)
    cloud.run_until_idle()
    assert batches.cancel("t1", batch.id)
    reactivate(cloud, platform)

    assert {row(job.id).status for job in jobs} == {"cancelled"}
    assert sample_jobs.starts["member"] == 0


def test_while_a_job_cannot_be_parked_it_waits_and_no_attempt_is_charged(
    cloud: LocalCloud, platform: Caller
) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "x"}))
    suspend(cloud, platform)
    faults.add(Fault("dynamodb", "PutItem", "refuse", times=None))
    for _ in range(30):
        cloud.advance(30)
        cloud.run_until_idle()
    assert (row(job_id).status, int(row(job_id).attempts)) == ("queued", 0)
    assert not row(job_id).due_shard.startswith("parked#")
    assert {entry["outcome"] for entry in row(job_id).history} == {"held"}

    faults.clear()
    wait(cloud, days=1)
    assert row(job_id).due_shard.startswith("parked#tenant:t1#")
    reactivate(cloud, platform)
    assert (row(job_id).status, int(row(job_id).attempts)) == ("done", 1)


def test_workers_that_park_at_once_do_not_refuse_each_other(
    cloud: LocalCloud, platform: Caller
) -> None:
    ids = sample_jobs.enqueue(*(("count", {"label": "x"}) for _ in range(120)))
    suspend(cloud, platform)
    let_transactions_meet()
    (queue,) = [each for each in cloud.mappings if each.queue_name.endswith("-work")]

    def work(_: int) -> None:
        while queue.poll_once(cloud._sqs):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert conflicts.refused() == {}
    assert {row(job_id).due_shard.partition("#")[0] for job_id in ids} == {"parked"}


@pytest.mark.parametrize("jobs", [400, pytest.param(20_000, marks=pytest.mark.slow)])
def test_many_parked_jobs_of_one_tenant_do_not_make_another_wait(
    cloud: LocalCloud, platform: Caller, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(parking, "MOST_AT_ONCE", jobs // 2)
    many = sample_jobs.enqueue(*(("count", {"label": "many"}) for _ in range(jobs)))
    (one,) = sample_jobs.enqueue(("count", {"label": "one"}), tenant="t2")
    for tenant in ("t1", "t2"):
        suspend(cloud, platform, tenant)
    cloud.run_until_idle()
    for tenant in ("t1", "t2"):
        platform.patch(f"/admin/v1/tenants/{tenant}", {"status": "active"})
    cloud.advance(61)  # one sweep, after which every instance knows

    lonely = ledger.get("t2", one, consistent=True)
    assert lonely is not None
    assert not str(lonely.due_shard).startswith("parked#")
    still = [job_id for job_id in many if row(job_id).due_shard.startswith("parked#")]
    assert jobs // 2 <= len(still) < jobs


def test_what_a_newer_release_has_parked_waits_for_that_release(cloud: LocalCloud) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "x"}))
    claim = claims.claim("t1", job_id)
    assert isinstance(claim, claims.Claim)
    aws.client("sqs").purge_queue(QueueUrl=aws.queue_url("work"))  # its message was worked
    assert parking.park(claim.job, "queue:work")
    for _ in range(10):
        cloud.advance(60)
        cloud.run_until_idle()
    assert row(job_id).due_shard.startswith("parked#queue:work#")
    assert sample_jobs.starts["x"] == 0


def test_a_copy_of_its_message_that_dies_while_it_runs_loses_nothing(
    cloud: LocalCloud, platform: Caller
) -> None:
    """A claim brings the job back to where the sweep looks."""
    (job_id,) = sample_jobs.enqueue(("count", {"label": "x"}))
    suspend(cloud, platform)
    cloud.run_until_idle()
    platform.patch("/admin/v1/tenants/t1", {"status": "active"})
    assert claims.claim_first_attempts([("t1", job_id), ("t1", "none")]).keys()
    assert isinstance(claims.claim("t1", job_id), claims.Claim)  # and its worker dies

    cloud.advance(400)
    cloud.run_until_idle()
    assert sample_jobs.successes["x"] == 1


@pytest.mark.parametrize("run", range(3))
def test_two_sweeps_at_once_let_every_job_go_once(
    cloud: LocalCloud, platform: Caller, run: int
) -> None:
    labels = [f"j{number}" for number in range(30)]
    sample_jobs.enqueue(*(("count", {"label": label}) for label in labels))
    suspend(cloud, platform)
    cloud.run_until_idle()
    assert notes()
    platform.patch("/admin/v1/tenants/t1", {"status": "active"})
    let_go: Any = partial(parking.let_go, lambda: True)
    moved = at_once(let_go, let_go)

    assert sum(moved) == len(labels)
    cloud.advance(120)
    cloud.run_until_idle()
    assert {sample_jobs.starts[label] for label in labels} == {1}


def test_a_sweep_that_is_interrupted_is_continued_by_the_next(
    cloud: LocalCloud, platform: Caller, client: Client
) -> None:
    labels = [f"j{number}" for number in range(30)]
    sample_jobs.enqueue(*(("count", {"label": label}) for label in labels))
    suspend(cloud, platform)
    cloud.run_until_idle()
    platform.patch("/admin/v1/tenants/t1", {"status": "active"})
    for call in ("BatchExecuteStatement", "UpdateItem"):
        faults.add(Fault("dynamodb", call, "refuse", times=None))
    cloud.advance(60)
    assert notes()
    faults.clear()
    reactivate(cloud, platform)

    assert {sample_jobs.starts[label] for label in labels} == {1}


def test_what_is_parked_late_by_an_instance_that_does_not_know_yet_goes_on_too(
    cloud: LocalCloud, platform: Caller
) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "x"}))
    claim = claims.claim("t1", job_id)
    assert isinstance(claim, claims.Claim)
    cloud.advance(60)  # the tenant is active, and a sweep has seen that nothing is parked
    assert parking.park(claim.job, "tenant:t1")

    cloud.advance(60)
    cloud.advance(60)
    cloud.run_until_idle()
    assert sample_jobs.successes["x"] == 1


def test_a_worker_that_was_overtaken_parks_nothing(cloud: LocalCloud) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "x"}))
    late = claims.claim("t1", job_id)
    assert isinstance(late, claims.Claim)
    cloud.advance(200)
    cloud.run_until_idle()
    assert not parking.park(late.job, "tenant:t1")
    assert row(job_id).status == "done"
