"""Unique jobs, jobs with a latest time, and jobs that are cancelled while they wait."""

import time
from collections import Counter
from functools import partial
from typing import Any

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.client import Caller, at_once
from tests.functional.http.store_calls import killed_at


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def enqueue(name: str, *labels: str, tenant: str = "t1") -> None:
    """Queues one job for each label, each in a transaction of its own."""
    from chalicelib.kernel.jobs.outbox import Transaction

    for label in labels:
        with Transaction(tenant) as tx:
            tx.enqueue(f"batches.{name}", label=label)


def locks_and_markers() -> dict[str, Any]:
    return {sk: row for sk, row in aws.rows("kernel").items() if sk.startswith("unique#")}


def transactions() -> int:
    """Calls of TransactWriteItems since the counts were cleared, refused ones included."""
    return faults.counts().get("dynamodb.TransactWriteItems", {}).get("through", 0)


def keys_left() -> list[str]:
    """The keys of locks and markers that have not been deleted."""
    return list(locks_and_markers())


def test_of_those_with_the_same_arguments_that_wait_together_one_runs(
    cloud: LocalCloud, manager: Caller
) -> None:
    enqueue("only", "a", "a", "a", "b")
    enqueue("only", "a", tenant="t2")
    cloud.run_until_idle()

    assert members.ran == {"a": 2, "b": 1}  # one of them in the other tenant
    assert Counter(job["status"] for job in manager.jobs()) == {"done": 2, "skipped": 2}
    skipped = manager.jobs(status="skipped")
    assert {job["last_error"] for job in skipped} == {"the same job runs in its place"}
    assert keys_left() == []


@pytest.mark.parametrize("name", ["only", "only_waiting"])
def test_many_who_want_the_same_job_at_once_all_get_through_and_it_runs_once(
    cloud: LocalCloud, name: str
) -> None:
    members.ran["a"] = 5  # by now only_waiting does not queue itself again
    before = transactions()
    at_once(*[partial(enqueue, name, "a")] * 50)  # type: ignore[list-item]
    assert transactions() - before == 50  # none was refused and repeated
    for _ in range(3):
        cloud.run_until_idle()
        cloud.advance(2)

    assert members.ran["a"] == 6


def test_two_of_one_kind_in_one_transaction_are_one(cloud: LocalCloud, manager: Caller) -> None:
    from chalicelib.kernel.jobs.outbox import Transaction

    with Transaction("t1") as tx:
        tx.enqueue("batches.only", label="a")
        tx.enqueue("batches.only", label="a")
        tx.enqueue("batches.good", label="b")
    cloud.run_until_idle()

    assert members.ran == {"a": 1, "b": 1}
    assert len(manager.jobs()) == 2


def test_one_that_comes_while_another_runs_is_skipped(cloud: LocalCloud, manager: Caller) -> None:
    enqueue("only_again", "a")
    cloud.run_until_idle()

    assert members.ran == {"a": 1}
    assert Counter(job["status"] for job in manager.jobs()) == {"done": 1, "skipped": 1}


def test_with_until_start_one_that_comes_while_another_runs_runs_too(
    cloud: LocalCloud, manager: Caller
) -> None:
    enqueue("only_waiting", "a", "a")
    for _ in range(3):
        cloud.run_until_idle()
        cloud.advance(2)

    assert members.ran == {"a": 3}
    assert keys_left() == []


@pytest.mark.parametrize("label", ["good", "bad"])
def test_the_next_runs_once_the_first_has_ended_well_or_not(
    cloud: LocalCloud, manager: Caller, label: str
) -> None:
    enqueue("only", label)
    cloud.run_until_idle()
    if label == "bad":
        enqueue("only", label)  # the first waits for its second try
        cloud.run_until_idle()
        assert members.ran == {"bad": 1}
        cloud.advance(100)
        cloud.run_until_idle()
        assert members.ran == {"bad": 2}
    assert keys_left() == []

    before = members.ran[label]
    enqueue("only", label)
    cloud.run_until_idle()
    assert members.ran[label] == before + 1


def test_after_its_longest_time_another_one_runs_although_the_first_has_not_ended(
    cloud: LocalCloud, manager: Caller
) -> None:
    enqueue("only", "bad")
    cloud.run_until_idle()
    cloud.advance(3601)
    enqueue("only", "bad")
    cloud.run_until_idle()

    assert members.ran == {"bad": 2}  # one for both of those that waited


def test_a_worker_that_dies_before_the_release_holds_nobody_up(
    cloud: LocalCloud, manager: Caller
) -> None:
    enqueue("only", "a")
    with killed_at("DeleteItem", 1) as process:
        cloud.run_until_idle()
    assert process.dead
    assert [job["status"] for job in manager.jobs()] == ["done"]
    assert keys_left()

    enqueue("only", "a")
    cloud.run_until_idle()
    assert members.ran == {"a": 2}


@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize(
    ("operation", "nth"),
    [("GetItem", 2), ("UpdateItem", 1), ("Query", 1), ("BatchWriteItem", 1), ("Query", 2)],
)
def test_wherever_the_worker_of_one_dies_none_is_lost(
    cloud: LocalCloud, manager: Caller, operation: str, nth: int, when: Any
) -> None:
    enqueue("only", "a", "a", "a")
    with killed_at(operation, nth, when) as process:
        cloud.run_until_idle()
    assert process.dead
    for _ in range(3):
        cloud.advance(400)
        cloud.run_until_idle()

    assert members.ran["a"] >= 1
    assert {job["status"] for job in manager.jobs()} == {"done", "skipped"}
    assert keys_left() == []


def test_one_for_later_is_not_taken_along_by_one_that_runs_now(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    tomorrow = int(time.time()) + 86_400
    for _ in range(2):
        with Transaction("t1") as tx:
            tx.enqueue("batches.only", Delivery(not_before=tomorrow), label="a")
    enqueue("only", "a")
    cloud.run_until_idle()
    assert members.ran == {"a": 1}

    cloud.advance(86_460)
    cloud.run_until_idle()
    assert members.ran == {"a": 2}
    assert Counter(job["status"] for job in manager.jobs()) == {"done": 2, "skipped": 1}


def test_only_the_lock_expires_because_a_job_without_a_marker_would_not_run(
    cloud: LocalCloud,
) -> None:
    enqueue("only", "bad")
    cloud.run_until_idle()

    expiries = {sk.count("#"): row.get("expires_at") for sk, row in locks_and_markers().items()}
    assert expiries[2] is None
    assert abs(int(expiries[1]["N"]) - time.time() - 3600) < 5


def test_in_a_batch_those_that_are_skipped_count_as_done(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    enqueue("only", "a")
    with Transaction("t1") as tx:
        batch = batches.create(tx, then="batches.then")
        for label in ("a", "b", "c"):
            tx.enqueue("batches.only", Delivery(batch=batch, units=3), label=label)
    cloud.run_until_idle()

    shown = manager.get(f"/v1/batches/{batch.id}").json()["data"]
    assert (shown["status"], shown["total"], shown["done"], shown["failed"]) == ("done", 9, 9, 0)
    assert members.ran == {"a": 1, "b": 1, "c": 1, "then": 1}


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
    assert cloud.run_until_idle() == 1
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
