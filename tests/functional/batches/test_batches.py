"""Batches: counted right however messages come, followed once, grown, cancelled."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.client import Caller
from tests.functional.http.store_calls import killed_at

AFTER_A_CRASH_SECONDS = 400
FOLLOWING = {"then": "batches.then", "catch": "batches.catch", "finally_": "batches.finally_"}


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def start(*jobs: str, units: int = 1, **following: str) -> str:
    """A batch of these jobs, queued; its id."""
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    with Transaction("t1") as tx:
        batch = batches.create(tx, **following)  # type: ignore[arg-type]
        for number, name in enumerate(jobs):
            how = Delivery(batch=batch, units=units)
            tx.enqueue(f"batches.{name}", how, label=f"{name}-{number}")
    return batch.id


def seen(manager: Caller, batch_id: str) -> dict[str, Any]:
    answer = manager.get(f"/v1/batches/{batch_id}")
    assert answer.status_code == 200, answer.text
    batch: dict[str, Any] = answer.json()["data"]
    return batch


def figures(manager: Caller, batch_id: str) -> tuple[str, int, int, int, int]:
    batch = seen(manager, batch_id)
    return tuple(batch[name] for name in ("status", "total", "done", "failed", "percent"))  # type: ignore[return-value]


def followers() -> Counter[str]:
    """How often each of the jobs that follow a batch ran."""
    return +Counter({name: members.ran[name] for name in ("then", "catch", "finally")})


def retried(cloud: LocalCloud) -> None:
    for _ in range(4):
        cloud.run_until_idle()
        cloud.advance(AFTER_A_CRASH_SECONDS)
    cloud.run_until_idle()


def test_a_batch_is_pending_then_running_then_done(cloud: LocalCloud, manager: Caller) -> None:
    started, batch_id = time.monotonic(), start(*["good"] * 30)
    assert figures(manager, batch_id) == ("pending", 30, 0, 0, 0)
    assert manager.get(f"/v1/batches/{batch_id}").headers["Retry-After"] == "2"
    (work,) = [each for each in cloud.mappings if each.queue_name.endswith("-work")]
    cloud.advance(100)
    for done in (10, 20):
        work.poll_once(cloud._sqs)
        batch = seen(manager, batch_id)
        assert (batch["status"], batch["done"], batch["percent"]) == (
            "running",
            done,
            done * 10 // 3,
        )
        left, spent = 30 - done, 100 + time.monotonic() - started
        assert 100 * left / done <= batch["eta_seconds"] <= (spent + 1) * left / done + 1

    cloud.run_until_idle()
    assert figures(manager, batch_id) == ("done", 30, 30, 0, 100)
    assert seen(manager, batch_id)["eta_seconds"] == 0
    assert seen(manager, batch_id)["finished_at"] is not None
    assert "Retry-After" not in manager.get(f"/v1/batches/{batch_id}").headers


def test_jobs_of_a_batch_name_it(cloud: LocalCloud, manager: Caller) -> None:
    batch_id = start("good", "good")

    assert {job["batch_id"] for job in manager.jobs()} == {batch_id}


def test_a_member_whose_message_comes_again_and_again_counts_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start(*["good"] * 5, **FOLLOWING)
    bodies = aws.take_messages("work")
    for body in bodies * 4:
        aws.put_message("work", body)
    cloud.run_until_idle()
    for body in bodies:
        aws.put_message("work", body)
    retried(cloud)

    assert figures(manager, batch_id) == ("done", 5, 5, 0, 100)
    assert set(members.ran.values()) == {1}
    assert followers() == {"then": 1, "finally": 1}


def test_a_worker_that_dies_between_a_members_end_and_the_settling_leaves_that_to_the_next(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start("good", **FOLLOWING)
    with killed_at("TransactWriteItems", 1, "after-call") as process:
        cloud.run_until_idle()
    assert process.dead
    assert aws.rows("kernel")[f"batch#{batch_id}"]["status"]["S"] == "open"
    assert figures(manager, batch_id)[:3] == ("done", 1, 1)

    retried(cloud)
    assert aws.rows("kernel")[f"batch#{batch_id}"]["status"]["S"] == "done"
    assert members.ran == {"good-0": 1, "then": 1, "finally": 1}


@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize("nth", range(1, 7))
def test_wherever_the_workers_die_what_follows_runs_once(
    cloud: LocalCloud, manager: Caller, nth: int, when: Any
) -> None:
    batch_id = start(*["good"] * 4, **FOLLOWING)
    with killed_at("TransactWriteItems", nth, when):
        cloud.run_until_idle()
    retried(cloud)

    assert figures(manager, batch_id) == ("done", 4, 4, 0, 100)
    assert members.ran["finally"] == members.ran["then"] == 1
    assert members.ran["catch"] == 0


@pytest.mark.parametrize(
    ("jobs", "following", "status"),
    [
        (["good", "good"], {"then": 1, "finally": 1}, "done"),
        (["good", "refused"], {"catch": 1, "finally": 1}, "done"),
        (["refused", "refused"], {"catch": 1, "finally": 1}, "failed"),
        (["bad"], {"catch": 1, "finally": 1}, "failed"),
    ],
)
def test_then_follows_success_catch_follows_a_failure_and_finally_both(
    cloud: LocalCloud, manager: Caller, jobs: list[str], following: dict[str, int], status: str
) -> None:
    batch_id = start(*jobs, **FOLLOWING)
    retried(cloud)

    assert followers() == following
    assert seen(manager, batch_id)["status"] == status


@pytest.mark.parametrize("run", range(3))
def test_what_follows_runs_once_also_when_many_members_end_at_once(
    cloud: LocalCloud, manager: Caller, run: int
) -> None:
    batch_id = start(*["good"] * 40, **FOLLOWING)
    (work,) = [each for each in cloud.mappings if each.queue_name.endswith("-work")]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: work.poll_once(cloud._sqs), range(4)))
    retried(cloud)

    assert figures(manager, batch_id) == ("done", 40, 40, 0, 100)
    assert followers() == {"then": 1, "finally": 1}


def test_a_member_that_failed_for_good_counts_all_its_units_and_is_named(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start("good", "bad", units=5)
    retried(cloud)

    assert figures(manager, batch_id) == ("done", 10, 10, 5, 100)
    (error,) = seen(manager, batch_id)["errors"]
    assert "bad-1 fails on purpose" in error["detail"]
    assert manager.job(error["job_id"])["status"] == "failed"
    assert members.ran["bad-1"] == 2


def test_a_member_tells_its_errors_by_line(cloud: LocalCloud, manager: Caller) -> None:
    batch_id = start("partly", "refused", units=4)
    cloud.run_until_idle()

    batch = seen(manager, batch_id)
    assert (batch["total"], batch["done"], batch["failed"]) == (8, 8, 6)
    assert [(each.get("line"), each["detail"]) for each in batch["errors"]] == [
        (None, "this can never work"),
        (3, "three"),
        (7, "seven"),
    ]


def test_a_batch_all_of_whose_members_failed_has_failed(cloud: LocalCloud, manager: Caller) -> None:
    batch_id = start(*["refused"] * 3)
    cloud.run_until_idle()

    assert figures(manager, batch_id) == ("failed", 3, 3, 3, 100)


def test_members_are_added_while_it_runs_and_what_follows_waits_for_them(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    with Transaction("t1") as tx:
        batch = batches.create(tx, then="batches.then")
        tx.enqueue("batches.grow", Delivery(batch=batch), batch_id=batch.id, by=12)
    cloud.run_until_idle()

    assert figures(manager, batch.id) == ("done", 13, 13, 0, 100)
    assert sum(count for label, count in members.ran.items() if label.startswith("grown")) == 12
    assert members.ran["then"] == 1


def test_nobody_joins_a_batch_that_has_ended_and_nothing_of_the_attempt_is_saved(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.errors import Conflict
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    batch_id = start("good")
    cloud.run_until_idle()
    tx = Transaction("t1")
    joined = batches.join(tx, batch_id)
    tx.enqueue("batches.good", Delivery(batch=joined), label="late")
    with pytest.raises(Conflict):
        tx.commit()

    cloud.run_until_idle()
    assert figures(manager, batch_id) == ("done", 1, 1, 0, 100)
    assert members.ran["late"] == 0
    assert len(manager.jobs()) == 1


def test_nobody_joins_another_tenants_batch(cloud: LocalCloud, manager: Caller) -> None:
    from chalicelib.kernel.errors import Conflict
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    batch_id = start("good")
    tx = Transaction("t2")
    tx.enqueue("batches.good", Delivery(batch=batches.join(tx, batch_id)), label="foreign")
    with pytest.raises(Conflict):
        tx.commit()
    assert figures(manager, batch_id)[1] == 1


def test_cancelling_ends_members_that_have_not_begun_and_queues_nothing_after_them(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import batches

    batch_id = start(*["good"] * 20, **FOLLOWING)
    (work,) = [each for each in cloud.mappings if each.queue_name.endswith("-work")]
    work.poll_once(cloud._sqs)
    assert batches.cancel("t1", batch_id)
    assert not batches.cancel("t1", batch_id)
    assert seen(manager, batch_id)["status"] == "cancelled"
    retried(cloud)

    assert Counter(job["status"] for job in manager.jobs()) == {"done": 10, "cancelled": 10}
    batch = seen(manager, batch_id)
    assert (batch["status"], batch["done"], batch["eta_seconds"]) == ("cancelled", 20, 0)
    assert followers() == {}


def test_a_batch_that_has_ended_or_is_anothers_cannot_be_cancelled(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import batches

    batch_id = start("good")
    assert not batches.cancel("t2", batch_id)
    cloud.run_until_idle()
    assert not batches.cancel("t1", batch_id)
    assert not batches.cancel("t1", "nobody")
    assert seen(manager, batch_id)["status"] == "done"


def test_a_store_that_stumbles_while_members_end_loses_no_count(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start(*["good"] * 12, **FOLLOWING)
    code = "TransactionConflictException"
    faults.add(Fault("dynamodb", "TransactWriteItems", "refuse", times=6, code=code))
    retried(cloud)

    assert figures(manager, batch_id) == ("done", 12, 12, 0, 100)
    assert followers() == {"then": 1, "finally": 1}


def test_every_message_carries_its_tenant_as_group(cloud: LocalCloud, manager: Caller) -> None:
    start(*["good"] * 3)
    manager.create_user(phone="+4915112345678")
    manager.send(
        "POST",
        "/admin/v1/users/import",
        headers={"Content-Type": "text/csv"},
        data="name,email,role\nBob,bob@example.com,staff\n",
    )
    cloud.advance(61)  # the sweep pushes all of them once more
    groups: Counter[str] = Counter()
    for queue in ("notify", "work", "bulk"):
        for message in _received(queue):
            assert json.loads(message["Body"])["tenant"] == "t1"
            groups[message["Attributes"]["MessageGroupId"]] += 1

    assert groups == {"t1": 12}


def _received(queue: str) -> list[dict[str, Any]]:
    found = []
    while (
        batch := aws.client("sqs")
        .receive_message(
            QueueUrl=aws.queue_url(queue),
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
        )
        .get("Messages")
    ):
        found += batch
    return found
