"""What follows a batch: once, however its members end and whoever dies meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.batches.batch import FOLLOWING, figures, followers, retried, seen, start
from tests.functional.client import Caller, let_transactions_meet
from tests.functional.http.store_calls import killed_at


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


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
@pytest.mark.parametrize(
    "nth", [1, *(pytest.param(nth, marks=pytest.mark.thorough) for nth in (2, 3, 5)), 4]
)
def test_wherever_the_workers_die_what_follows_runs_once(
    cloud: LocalCloud, manager: Caller, nth: int, when: Any
) -> None:
    batch_id = start(*["good"] * 4, **FOLLOWING)
    with killed_at("TransactWriteItems", nth, when) as process:
        cloud.run_until_idle()
    assert process.dead
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


@pytest.mark.parametrize(
    "run", [0, *(pytest.param(run, marks=pytest.mark.thorough) for run in (1, 2))]
)
def test_what_follows_runs_once_also_when_many_members_end_at_once(
    cloud: LocalCloud, manager: Caller, run: int
) -> None:
    batch_id = start(*["good"] * 40, **FOLLOWING)
    (work,) = [each for each in cloud.mappings if each.queue_name.endswith("-work")]
    let_transactions_meet()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: work.poll_once(cloud._sqs), range(4)))
    retried(cloud)

    assert figures(manager, batch_id) == ("done", 40, 40, 0, 100)
    assert followers() == {"then": 1, "finally": 1}


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


def test_a_store_that_stumbles_while_members_end_loses_no_count(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start(*["good"] * 12, **FOLLOWING)
    code = "TransactionConflictException"
    faults.add(Fault("dynamodb", "TransactWriteItems", "refuse", times=6, code=code))
    retried(cloud)

    assert faults.active() == []  # it stumbled six times
    assert figures(manager, batch_id) == ("done", 12, 12, 0, 100)
    assert followers() == {"then": 1, "finally": 1}
