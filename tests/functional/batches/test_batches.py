"""Batches: counted right however messages come, followed once, grown, cancelled."""

import json
from collections import Counter
from typing import Any

import pytest

from chalicelib.kernel.jobs import registry
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.batches.batch import (
    FOLLOWING,
    figures,
    followers,
    retried,
    row,
    seen,
    start,
)
from tests.functional.client import Caller


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def test_a_batch_is_pending_then_running_then_done(cloud: LocalCloud, manager: Caller) -> None:
    batch_id = start(*["good"] * 30)
    assert figures(manager, batch_id) == ("pending", 30, 0, 0, 0)
    assert manager.get(f"/v1/batches/{batch_id}").headers["Retry-After"] == "2"
    (work,) = [each for each in cloud.mappings if each.queue_name.endswith("-work")]
    for done in (10, 20):
        work.poll_once(cloud._sqs)
        assert figures(manager, batch_id) == ("running", 30, done, 0, done * 10 // 3)

    cloud.run_until_idle()
    assert figures(manager, batch_id) == ("done", 30, 30, 0, 100)
    assert seen(manager, batch_id)["eta_seconds"] == 0
    assert seen(manager, batch_id)["finished_at"] is not None
    assert "Retry-After" not in manager.get(f"/v1/batches/{batch_id}").headers


def test_the_time_left_is_told_by_the_pace_of_the_work_and_only_work_changes_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start(*["good"] * 30)
    (work,) = [each for each in cloud.mappings if each.queue_name.endswith("-work")]
    assert seen(manager, batch_id)["eta_seconds"] == 0
    cloud.advance(1000)  # nothing is known yet, and the wait is no work
    assert seen(manager, batch_id)["eta_seconds"] == 0
    work.poll_once(cloud._sqs)
    assert 0 < seen(manager, batch_id)["eta_seconds"] < 200
    cloud.advance(100)
    work.poll_once(cloud._sqs)
    assert 50 <= seen(manager, batch_id)["eta_seconds"] < 75  # ten of thirty, after twenty in 100 s

    path = f"/v1/batches/{batch_id}"
    read = manager.get(path)
    cloud.advance(1000)
    again = manager.get(path, headers={"If-None-Match": read.headers["ETag"]})
    assert again.status_code == 304


def test_the_time_left_is_unknown_until_a_tenth_was_worked(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start(*["good"] * 20)
    first, second, *_ = aws.take_messages("work")
    aws.put_message("work", first)
    cloud.run_until_idle()
    batch = seen(manager, batch_id)
    assert (batch["status"], batch["done"], batch["eta_seconds"]) == ("running", 1, 0)

    aws.put_message("work", second)
    cloud.run_until_idle()
    assert seen(manager, batch_id)["eta_seconds"] > 0


def test_jobs_of_a_batch_name_it(cloud: LocalCloud, manager: Caller) -> None:
    batch_id = start("good", "good")

    assert {job["batch_id"] for job in manager.jobs()} == {batch_id}


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


def test_a_member_whose_errors_would_outgrow_a_row_tells_each_line_and_less_of_what_happened(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start("noisy", units=2_000)
    cloud.run_until_idle()

    batch = seen(manager, batch_id)
    assert (batch["status"], batch["done"], batch["failed"]) == ("failed", 2_000, 2_000)
    assert [each["line"] for each in batch["errors"]] == list(range(1, 2_001))
    assert all(each["detail"].startswith("why: ") for each in batch["errors"])


def test_a_batch_all_of_whose_members_failed_has_failed(cloud: LocalCloud, manager: Caller) -> None:
    batch_id = start(*["refused"] * 3)
    cloud.run_until_idle()

    assert figures(manager, batch_id) == ("failed", 3, 3, 3, 100)


def test_nobody_joins_a_batch_that_has_ended_and_nothing_of_the_attempt_is_saved(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.errors import Conflict
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    batch_id = start("good")
    cloud.run_until_idle()
    tx = Transaction("t1")
    joined = batches.join(tx, row(batch_id))
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
    tx.enqueue("batches.good", Delivery(batch=batches.join(tx, row(batch_id))), label="foreign")
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
    for queue in registry.QUEUES:
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
