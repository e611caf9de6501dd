"""Cancelling one job: its batch counts it and ends, and its like may be queued again."""

from functools import partial

import pytest
from pynamodb.exceptions import QueryError

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.batches.batch import FOLLOWING, figures, followers, retried, seen, start
from tests.functional.client import Caller, at_once
from tests.functional.http.store_calls import just_before


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def cancel(job_id: str) -> bool:
    from chalicelib.kernel.jobs import completion

    return completion.cancel("t1", job_id)


def waiting(manager: Caller) -> list[str]:
    return [job["id"] for job in manager.jobs(status="queued")]


def test_a_member_that_is_cancelled_is_counted_and_the_batch_goes_on_without_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start(*["good"] * 3, units=5, **FOLLOWING)
    one = waiting(manager)[1]
    assert cancel(one)
    assert not cancel(one)
    assert figures(manager, batch_id) == ("running", 15, 5, 0, 33)
    cloud.run_until_idle()

    assert figures(manager, batch_id) == ("done", 15, 15, 0, 100)
    assert seen(manager, batch_id)["errors"] == []
    assert manager.job(one)["status"] == "cancelled"
    assert followers() == {"then": 1, "finally": 1}
    assert sum(ran for label, ran in members.ran.items() if label.startswith("good")) == 2


def test_the_last_member_that_is_cancelled_ends_its_batch(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start("refused", "good", **FOLLOWING)
    aws.take_messages("work")
    for each in waiting(manager):
        assert cancel(each)
    cloud.run_until_idle()

    assert figures(manager, batch_id) == ("done", 2, 2, 0, 100)
    assert seen(manager, batch_id)["finished_at"]
    assert followers() == {"then": 1, "finally": 1}


def test_a_member_that_waits_for_another_try_is_cancelled_and_the_other_failures_stay_counted(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start("bad", "refused", **FOLLOWING)
    cloud.run_until_idle()
    assert [cancel(each) for each in waiting(manager)] == [True]
    retried(cloud)

    assert figures(manager, batch_id) == ("done", 2, 2, 1, 100)
    assert members.ran["bad-0"] == 1
    assert followers() == {"catch": 1, "finally": 1}


def test_of_many_who_cancel_one_member_at_once_one_does_and_it_counts_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start("good", "good")
    one, _ = waiting(manager)

    assert sorted(at_once(*[partial(cancel, one)] * 4)) == [False, False, False, True]  # type: ignore[list-item,type-var]
    assert figures(manager, batch_id) == ("running", 2, 1, 0, 50)


def test_a_member_that_is_taken_while_it_is_cancelled_runs_and_counts_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start("good")
    (one,) = waiting(manager)
    with just_before("TransactWriteItems", cloud.run_until_idle):
        assert not cancel(one)

    assert figures(manager, batch_id) == ("done", 1, 1, 0, 100)
    assert manager.job(one)["status"] == "done"


def test_who_cancels_again_makes_up_for_what_was_broken_off(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start("good", **FOLLOWING)
    (one,) = waiting(manager)
    aws.take_messages("work")

    def go_down() -> None:
        faults.add(Fault("dynamodb", "Query", "refuse", times=None))

    with just_before("TransactWriteItems", go_down), pytest.raises(QueryError):
        cancel(one)
    faults.clear()
    assert manager.job(one)["status"] == "cancelled"
    assert seen(manager, batch_id)["finished_at"] is None
    assert not cancel(one)
    cloud.run_until_idle()

    assert seen(manager, batch_id)["finished_at"]
    assert followers() == {"then": 1, "finally": 1}


def test_after_a_unique_job_was_cancelled_its_like_is_queued(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs.outbox import Transaction

    def queue() -> None:
        with Transaction("t1") as tx:
            tx.enqueue("batches.only", label="a")

    queue()
    assert [cancel(each) for each in waiting(manager)] == [True]
    queue()
    cloud.run_until_idle()

    assert members.ran == {"a": 1}
    assert [job["status"] for job in manager.jobs()] == ["done", "cancelled"]
