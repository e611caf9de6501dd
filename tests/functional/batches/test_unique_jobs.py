"""Unique jobs, jobs with a latest time, and jobs that are cancelled while they wait."""

import json
import time
from collections import Counter

import pytest

from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.client import Caller
from tests.functional.http.store_calls import killed_at


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def enqueue(name: str, *labels: str, tenant: str = "t1") -> None:
    from chalicelib.kernel.jobs.outbox import Transaction

    for label in labels:
        with Transaction(tenant) as tx:
            tx.enqueue(f"batches.{name}", label=label)


def locks() -> list[str]:
    return [sk for sk in aws.rows("kernel") if sk.startswith("unique#")]


def test_a_second_one_with_the_same_arguments_drops_out_while_the_first_waits(
    cloud: LocalCloud, manager: Caller
) -> None:
    enqueue("only", "a", "a", "a", "b")
    enqueue("only", "a", tenant="t2")
    assert len(manager.jobs()) == 2

    cloud.run_until_idle()
    assert members.ran == {"a": 2, "b": 1}  # one of them in the other tenant


def test_the_rest_of_the_transaction_is_saved_and_the_dropped_job_is_not_pushed(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs.outbox import Transaction

    enqueue("only", "a")
    aws.take_messages("work")
    with Transaction("t1") as tx:
        tx.enqueue("batches.good", label="before")
        tx.enqueue("batches.only", label="a")
        tx.enqueue("batches.good", label="after")

    assert Counter(job["type"] for job in manager.jobs()) == {"batches.only": 1, "batches.good": 2}
    assert len(aws.take_messages("work")) == 2


def test_two_of_one_kind_in_one_transaction_are_one(cloud: LocalCloud, manager: Caller) -> None:
    from chalicelib.kernel.jobs.outbox import Transaction

    with Transaction("t1") as tx:
        tx.enqueue("batches.only", label="a")
        tx.enqueue("batches.only", label="a")
        tx.enqueue("batches.good", label="b")
    cloud.run_until_idle()

    assert members.ran == {"a": 1, "b": 1}


def test_another_error_of_the_transaction_matters_more(cloud: LocalCloud, manager: Caller) -> None:
    from chalicelib.kernel.auth.tenancy import DIRECTORY, TenantRecord
    from chalicelib.kernel.errors import Gone
    from chalicelib.kernel.jobs.outbox import Transaction

    enqueue("only", "a")
    tx = Transaction("t1")
    tx.enqueue("batches.only", label="a")
    tx.enqueue("batches.good", label="b")
    tx.check(TenantRecord, (DIRECTORY, "nobody"), TenantRecord.sk.exists(), Gone())
    with pytest.raises(Gone):
        tx.commit()
    assert len(manager.jobs()) == 1


def test_a_second_one_drops_out_while_the_first_runs(cloud: LocalCloud, manager: Caller) -> None:
    enqueue("only_again", "a")
    cloud.run_until_idle()

    assert members.ran == {"a": 1}
    assert len(manager.jobs()) == 1


def test_with_until_start_the_next_is_queued_while_one_runs(
    cloud: LocalCloud, manager: Caller
) -> None:
    enqueue("only_waiting", "a", "a")
    assert len(manager.jobs()) == 1

    cloud.run_until_idle()
    assert members.ran == {"a": 3}


@pytest.mark.parametrize("label", ["good", "bad"])
def test_the_next_is_allowed_once_the_first_has_ended_well_or_not(
    cloud: LocalCloud, manager: Caller, label: str
) -> None:
    enqueue("only", label)
    cloud.run_until_idle()
    if label == "bad":
        enqueue("only", label)  # the first waits for its second try
        assert len(manager.jobs()) == 1
        cloud.advance(100)
        cloud.run_until_idle()
    assert locks() == []

    enqueue("only", label)
    assert len(manager.jobs()) == 2


def test_the_next_is_allowed_once_its_time_is_over_and_the_first_then_frees_nothing_of_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    enqueue("only", "a")
    cloud.advance(3590)
    enqueue("only", "a")
    assert len(manager.jobs()) == 1
    cloud.advance(20)
    enqueue("only", "a")
    assert len(manager.jobs()) == 2

    first = min(aws.take_messages("work"), key=lambda body: json.loads(body)["job"])
    aws.put_message("work", first)
    cloud.run_until_idle()
    assert sorted(job["status"] for job in manager.jobs()) == ["done", "queued"]
    assert len(locks()) == 1


def test_a_worker_that_dies_before_the_release_delays_the_next_no_longer_than_its_time(
    cloud: LocalCloud, manager: Caller
) -> None:
    enqueue("only", "a")
    with killed_at("DeleteItem", 1):
        cloud.run_until_idle()
    assert [job["status"] for job in manager.jobs()] == ["done"]

    cloud.advance(3601)
    cloud.run_until_idle()
    enqueue("only", "a")
    assert len(manager.jobs()) == 2


def test_a_lock_carries_the_time_at_which_dynamodb_deletes_it(cloud: LocalCloud) -> None:
    enqueue("only", "a")

    (sk,) = locks()
    assert abs(int(aws.rows("kernel")[sk]["expires_at"]["N"]) - time.time() - 3600) < 5


def test_in_a_batch_the_total_counts_only_those_that_were_queued(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    enqueue("only", "a")
    with Transaction("t1") as tx:
        batch = batches.create(tx, then="batches.then")
        for label in ("a", "b", "c"):
            tx.enqueue("batches.only", Delivery(batch=batch, units=3), label=label)
    path = f"/v1/batches/{batch.id}"
    assert manager.get(path).json()["data"]["total"] == 6
    enqueue("only", "d")
    with Transaction("t1") as tx:
        joined = batches.join(tx, batch.id)
        for label in ("d", "e"):
            tx.enqueue("batches.only", Delivery(batch=joined, units=2), label=label)
    assert manager.get(path).json()["data"]["total"] == 8

    cloud.run_until_idle()
    shown = manager.get(path).json()["data"]
    assert (shown["status"], shown["total"], shown["done"]) == ("done", 8, 8)
    assert members.ran["then"] == 1


def test_a_batch_all_of_whose_members_dropped_out_is_done(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    enqueue("only", "a")
    with Transaction("t1") as tx:
        batch = batches.create(tx)
        tx.enqueue("batches.only", Delivery(batch=batch), label="a")

    shown = manager.get(f"/v1/batches/{batch.id}").json()["data"]
    assert (shown["status"], shown["total"], shown["percent"]) == ("done", 0, 100)


def test_a_job_after_its_latest_time_is_expired_and_one_before_it_runs(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    soon = int(time.time()) + 30
    with Transaction("t1") as tx:
        late = tx.enqueue("batches.good", Delivery(not_after=soon), label="late")
        early = tx.enqueue("batches.good", Delivery(not_after=soon + 600), label="early")
    cloud.advance(60)
    cloud.run_until_idle()

    assert members.ran == {"early": 1}
    assert manager.job(late.id)["status"] == "expired"
    assert manager.job(late.id)["finished_at"]
    assert manager.job(early.id)["status"] == "done"


def test_a_job_that_waits_is_cancelled_and_its_message_is_harmless(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import completion
    from chalicelib.kernel.jobs.outbox import Transaction

    with Transaction("t1") as tx:
        job = tx.enqueue("batches.good", label="a")
    assert not completion.cancel("t2", job.id)
    assert completion.cancel("t1", job.id)
    assert not completion.cancel("t1", job.id)
    cloud.run_until_idle()
    cloud.advance(3600)

    assert cloud.run_until_idle() == 0
    assert members.ran == {}
    assert manager.job(job.id)["status"] == "cancelled"
    row = aws.rows("kernel")[f"job#{job.id}"]
    assert int(row["expires_at"]["N"]) > time.time()
    assert "due_at" not in row


def test_a_job_that_ended_or_never_was_cannot_be_cancelled(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import completion
    from chalicelib.kernel.jobs.outbox import Transaction

    with Transaction("t1") as tx:
        job = tx.enqueue("batches.good", label="a")
    cloud.run_until_idle()

    assert not completion.cancel("t1", job.id)
    assert not completion.cancel("t1", "nobody")
    assert manager.job(job.id)["status"] == "done"
