"""Copies of unique jobs that meet at the worst moments: some copy always runs after the last."""

import time
from contextlib import ExitStack
from typing import Any

import pytest

from infra.local import conflicts, faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.client import Caller
from tests.functional.http.store_calls import Killed, hooked, just_before, killed_at

MORE_TRIES_THAN_PYNAMODBS = 5  #: which tries three times, without a pause


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def queue(name: str, **delivery: Any) -> Any:
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    with Transaction("t1") as tx:
        return tx.enqueue(f"batches.{name}", Delivery(**delivery), label="a")


def run(job: Any) -> str:
    """Works a job at once, past its queue; what becomes of its message."""
    from chalicelib.kernel.jobs import attempt

    return attempt.run(job.type, "t1", job.id, time.monotonic() + 50).name


def test_the_lock_of_a_copy_that_will_be_skipped_skips_no_other(cloud: LocalCloud) -> None:
    from chalicelib.kernel.jobs import claims, unique

    skipped, first = queue("only"), queue("only")
    claim = claims.claim("t1", skipped.id)
    assert isinstance(claim, claims.Claim)
    outcomes = []
    with ExitStack() as stack:

        def meet() -> None:
            outcomes.append(run(first))
            last = queue("only")
            stack.enter_context(just_before("Query", lambda: outcomes.append(run(last))))

        stack.enter_context(just_before("UpdateItem", meet))
        assert not unique.enter(claim.job, 3600)

    assert outcomes == ["done", "done"]


def test_a_lock_that_was_taken_over_with_its_answer_lost_is_its_own(cloud: LocalCloud) -> None:
    first = queue("only")
    with killed_at("DeleteItem", 1), pytest.raises(Killed):
        run(first)
    calls: list[str] = []

    def lose(**_: Any) -> None:
        calls.append("UpdateItem")
        if len(calls) == 3:  # after its claim and its try to take the lock
            faults.add(Fault("dynamodb", "UpdateItem", "lose_answer", times=1))

    last = queue("only")
    with hooked("before-call.dynamodb.UpdateItem", lose):
        assert run(last) == "done"
    assert len(calls) == 3
    assert members.ran == {"a": 2}


def test_what_comes_while_the_copies_of_a_run_are_taken_along_runs_after_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    def meet() -> None:
        queue("only_stumbling")
        run(members.queued[0])  # it stumbles if it runs

    first = queue("only_stumbling")
    with just_before("BatchWriteItem", meet):
        assert run(first) == "done"
    assert members.ran["a ran well"] == 1
    for _ in range(4):
        cloud.run_until_idle()
        cloud.advance(100)

    assert members.ran["a ran well"] == 2
    assert {job["status"] for job in manager.jobs()} == {"done", "skipped"}


def test_a_marker_in_a_transaction_costs_its_deleter_no_attempt(
    cloud: LocalCloud, manager: Caller
) -> None:
    first, copy = queue("only"), queue("only")
    marker = {"S": f"{copy.unique_key}#{copy.id}"}
    held = [("backburner-local-kernel", str({"S": "t1"}), str(marker))]
    tries: list[str] = []

    def release(**_: Any) -> None:
        tries.append("BatchWriteItem")
        if len(tries) == MORE_TRIES_THAN_PYNAMODBS:
            conflicts.release(held)

    faults.add(Fault("dynamodb", kind="conflicts"))
    assert conflicts.hold(held, holder=1)
    with hooked("after-call.dynamodb.BatchWriteItem", release):
        assert run(first) == "done"
    assert conflicts.refused()["dynamodb.BatchWriteItem"] == MORE_TRIES_THAN_PYNAMODBS
    assert run(copy) == "skipped"


def test_one_for_later_in_the_same_transaction_does_not_stand_for_one_for_now(
    cloud: LocalCloud,
) -> None:
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    with Transaction("t1") as tx:
        tx.enqueue("batches.only", Delivery(not_before=int(time.time()) + 86_400), label="a")
        tx.enqueue("batches.only", label="a")
    cloud.run_until_idle()
    assert members.ran == {"a": 1}

    cloud.advance(86_460)
    cloud.run_until_idle()
    assert members.ran == {"a": 2}
    assert [sk for sk in aws.rows("kernel") if sk.startswith("unique#")] == []
