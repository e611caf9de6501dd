"""The sweep when calls fail or lose their answers, and when others change its jobs meanwhile."""

import threading
from typing import Any

import pytest

from infra.local import clock, faults, invocation
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests import settings
from tests.functional import sample_jobs
from tests.functional.client import Caller
from tests.functional.http.store_calls import just_before, met_at
from tests.functional.jobs import sweeps

TOGETHER = "BatchExecuteStatement"
SQS_TRIES, STORE_TRIES = 2, 3  #: of the SDK
NOT_MOVED, MOVED = 60, 120  #: seconds, the step of a job for later


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    sample_jobs.forget()


def due(jobs: int) -> list[str]:
    ids = sweeps.queue_for_later(jobs)
    clock.advance(sweeps.LATER_SECONDS)
    return ids


def assert_all_ran_once(cloud: LocalCloud, manager: Caller, ids: list[str]) -> None:
    for _ in range(3):
        cloud.run_until_idle()
        cloud.advance(400)
    jobs = [manager.job(id_) for id_ in ids]
    assert {(job["status"], job["attempts"]) for job in jobs} == {("done", 1)}
    assert set(sample_jobs.starts.values()) == {1}
    assert len(sample_jobs.starts) == len(ids)


# Calls that fail ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["refuse", "throttle", "lose_answer"])
def test_a_push_that_fails_for_ten_stops_no_others_and_those_ten_come_with_the_next_sweep(
    cloud: LocalCloud, manager: Caller, kind: faults.Kind
) -> None:
    ids = due(70)
    faults.add(Fault("sqs", "SendMessageBatch", kind, times=SQS_TRIES))  # the first call's
    first = sweeps.sweep(cloud)
    assert sorted(first.jobs) == sorted(ids)
    assert sorted(sweeps.steps()) == [NOT_MOVED] * 10 + [MOVED] * 60

    assert sorted(sweeps.sweep(cloud).jobs) == sorted(first.jobs[:10])
    assert sweeps.steps() == [MOVED] * 70
    assert_all_ran_once(cloud, manager, ids)


def test_an_outage_of_sqs_moves_no_time(cloud: LocalCloud) -> None:
    ids = due(70)
    faults.add(Fault("sqs", times=None))
    sweeps.sweep(cloud)
    assert sweeps.steps() == [NOT_MOVED] * 70

    faults.clear()
    assert sorted(sweeps.sweep(cloud).jobs) == sorted(ids)


@pytest.mark.parametrize("kind", ["refuse", "throttle", "lose_answer"])
@pytest.mark.parametrize("times", [STORE_TRIES, None], ids=["once", "for good"])
def test_times_that_one_call_does_not_move_are_moved_one_by_one(
    cloud: LocalCloud, manager: Caller, kind: faults.Kind, times: int | None
) -> None:
    ids = due(70)
    faults.add(Fault("dynamodb", TOGETHER, kind, times=times))
    assert sorted(sweeps.sweep(cloud).jobs) == sorted(ids)

    assert sweeps.steps() == [MOVED] * 70
    assert sweeps.sweep(cloud).jobs == []
    assert_all_ran_once(cloud, manager, ids)


def test_times_that_cannot_be_moved_stop_no_others_and_those_jobs_are_pushed_again(
    cloud: LocalCloud, manager: Caller
) -> None:
    ids = due(70)
    # The first 25; with one thread all tries are theirs.
    faults.add(Fault("dynamodb", TOGETHER, "refuse", times=STORE_TRIES))
    faults.add(Fault("dynamodb", "UpdateItem", "refuse", times=STORE_TRIES))
    with settings.changed(sweep_threads=1):
        first = sweeps.sweep(cloud)
    assert sorted(first.jobs) == sorted(ids)
    assert sorted(sweeps.steps()) == [NOT_MOVED] * 25 + [MOVED] * 45

    assert sorted(sweeps.sweep(cloud).jobs) == sorted(first.jobs[:25])
    assert_all_ran_once(cloud, manager, ids)


def test_a_shard_that_cannot_be_read_stops_no_others_and_the_sweep_reports_it(
    cloud: LocalCloud,
) -> None:
    from chalicelib.kernel.jobs import ledger

    ids = due(70)
    shards = {ledger.shard_of(id_) for id_ in ids}
    faults.add(Fault("dynamodb", "Query", "refuse", times=STORE_TRIES))
    with (
        settings.changed(sweep_threads=1),
        sweeps.watched() as sends,
        pytest.raises(Exception, match="Failed to query items"),
    ):
        sweeps.sweep(cloud)
    assert {ledger.shard_of(id_) for id_ in sends.jobs} == shards - {"0"}
    assert len(sweeps.sweep(cloud).jobs) == 70 - len(sends.jobs)


# Others at the same jobs -------------------------------------------------------------------------


def test_a_job_that_is_cancelled_claimed_or_ended_meanwhile_stays_as_it_is(
    cloud: LocalCloud,
) -> None:
    from chalicelib.kernel.jobs import claims, completion

    cancelled, claimed, ended, waiting = due(4)
    left: dict[str, Any] = {}

    def interfere() -> None:
        with invocation.of(""):  # not in the name of the sweep
            assert completion.cancel("t1", cancelled)
            for id_ in (claimed, ended):
                assert isinstance(claims.claim("t1", id_), claims.Claim)
            claim = claims.claim("t1", ended, token="late")
            assert not isinstance(claim, claims.Claim)
            assert completion.end(claim, "done", None)
            left.update({id_: sweeps.row_of(id_) for id_ in (cancelled, claimed, ended)})

    with just_before(TOGETHER, interfere):
        assert len(sweeps.sweep(cloud).jobs) == 4
    assert {id_: sweeps.row_of(id_) for id_ in left} == left
    assert [left[id_]["status"]["S"] for id_ in left] == ["cancelled", "running", "done"]
    assert sweeps.row_of(waiting)["due_step_seconds"]["N"] == str(MOVED)


def test_of_two_sweeps_at_once_one_moves_a_time_and_each_job_runs_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    """Both have read and pushed the jobs before either moves them."""
    ids = due(10)
    with sweeps.watched() as sends, met_at(TOGETHER, 2):
        threads = [threading.Thread(target=sweeps.sweep, args=[cloud]) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(sends.jobs) == sorted([*ids, *ids])
    assert sweeps.steps() == [MOVED] * 10
    assert_all_ran_once(cloud, manager, ids)
