"""The sweep: whose turn it is, how much it pushes, and what it leaves to the next one."""

from collections import Counter

import pytest

from infra.local import clock, faults
from infra.local.cloud import LocalCloud
from tests.functional import aws, sample_jobs
from tests.functional.client import Caller
from tests.functional.jobs import sweeps

NOT_MOVED, MOVED = 60, 120  #: seconds, the step of a job for later


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    sample_jobs.forget()


@pytest.mark.parametrize("jobs", [1_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_a_flood_that_is_due_in_one_minute_is_woken_in_that_minute_and_delays_nobody_else(
    cloud: LocalCloud, jobs: int
) -> None:
    flood = sweeps.queue_for_later(jobs)
    (lonely,) = sweeps.queue_for_later(1, "t2")
    clock.advance(sweeps.LATER_SECONDS)
    sends = sweeps.sweep(cloud)

    assert sends.seconds < 60
    print(f"{jobs + 1} jobs are pushed {sends.seconds:.1f} s after the sweep began")  # noqa: T201
    assert Counter(sends.jobs) == Counter([*flood, lonely])
    assert "t2" in sends.tenants[0]
    assert aws.left_in("work") == jobs + 1


def test_what_is_woken_is_moved_on_and_not_pushed_again_at_once(cloud: LocalCloud) -> None:
    sweeps.queue_for_later(120)
    clock.advance(sweeps.LATER_SECONDS)
    assert len(sweeps.sweep(cloud).jobs) == 120
    assert sweeps.steps() == [MOVED] * 120
    assert sweeps.sweep(cloud).jobs == []


def test_tenants_take_turns_the_smallest_first(cloud: LocalCloud) -> None:
    for tenant, jobs in (("large", 30), ("middle", 4), ("small", 1)):
        sweeps.queue_for_later(jobs, tenant)
    clock.advance(sweeps.LATER_SECONDS)
    calls = sweeps.sweep(cloud).tenants

    turns = ["small", "middle", "large", *["middle", "large"] * 3, "large"]
    assert calls[0] == turns
    assert [sorted(set(call)) for call in calls[1:]] == [["large"]] * 3


def test_a_flood_of_one_queue_is_not_in_the_way_of_another_queue(cloud: LocalCloud) -> None:
    sweeps.queue_for_later(100, queue="bulk")
    sweeps.queue_for_later(1, "t2", queue="notify")
    clock.advance(sweeps.LATER_SECONDS)

    assert sweeps.sweep(cloud).tenants[0] == ["t2"]
    assert (aws.left_in("notify"), aws.left_in("bulk")) == (1, 100)


def test_of_a_backlog_that_is_too_large_for_one_sweep_a_small_tenant_gets_its_turn(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of eight shards gives two of some fifteen jobs; the small tenant's is the latest."""
    for name, jobs in (("_MOST", 16), ("_PAGE", 3)):
        monkeypatch.setattr(f"chalicelib.kernel.jobs.sweep.{name}", jobs)
    flood = sweeps.queue_for_later(120)
    (lonely,) = sweeps.queue_for_later(1, "t2", seconds=sweeps.LATER_SECONDS + 30)
    clock.advance(sweeps.LATER_SECONDS + 30)

    first = sweeps.sweep(cloud)
    assert lonely in first.jobs[:10]
    assert len(first.jobs) <= 16
    later = [job for _ in range(20) for job in sweeps.sweep(cloud).jobs]
    assert Counter([*first.jobs, *later]) == Counter([*flood, lonely])


def test_a_backlog_that_is_too_large_to_be_read_is_pushed_piece_by_piece(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, jobs in (("_MOST", 80), ("_MOST_READ", 80), ("_PAGE", 5)):
        monkeypatch.setattr(f"chalicelib.kernel.jobs.sweep.{name}", jobs)
    flood = sweeps.queue_for_later(300)
    (lonely,) = sweeps.queue_for_later(1, "t2", seconds=sweeps.LATER_SECONDS + 30)
    clock.advance(sweeps.LATER_SECONDS + 30)

    pushed = [job for _ in range(12) for job in sweeps.sweep(cloud).jobs]
    assert Counter(pushed) == Counter([*flood, lonely])


def test_a_sweep_without_time_leaves_everything_to_the_next_one(cloud: LocalCloud) -> None:
    sweeps.queue_for_later(70)
    clock.advance(sweeps.LATER_SECONDS)

    assert sweeps.sweep(cloud, seconds=4).jobs == []
    assert sweeps.steps() == [NOT_MOVED] * 70
    assert len(sweeps.sweep(cloud).jobs) == 70


def test_jobs_that_were_woken_are_claimed_together(cloud: LocalCloud, manager: Caller) -> None:
    ids = sweeps.queue_for_later(10)
    clock.advance(sweeps.LATER_SECONDS)
    sweeps.sweep(cloud)
    assert {manager.job(id_)["next_attempt_at"] for id_ in ids} == {None}
    faults.clear()
    cloud.run_until_idle()

    calls = faults.counts()
    assert {manager.job(id_)["attempts"] for id_ in ids} == {1}
    assert sample_jobs.successes.total() == 10
    assert calls["dynamodb.BatchExecuteStatement"]["through"] >= 1
    assert calls.get("dynamodb.UpdateItem", {"through": 0})["through"] <= 10  # marks, no claim


def test_a_job_that_waits_for_a_retry_still_says_for_when(
    cloud: LocalCloud, manager: Caller
) -> None:
    """Its message is in the queue; the sweep sends a copy."""
    (job_id,) = sample_jobs.enqueue(("fail", {"label": "a", "times": 1}))
    cloud.run_until_idle()
    planned = manager.job(job_id)["next_attempt_at"]
    clock.advance(200)

    assert sweeps.sweep(cloud).jobs == [job_id]
    assert manager.job(job_id)["next_attempt_at"] == planned
    cloud.run_until_idle()
    assert (manager.job(job_id)["status"], manager.job(job_id)["attempts"]) == ("done", 2)


# Ahead of their time -----------------------------------------------------------------------------


def test_a_job_for_later_is_pushed_ahead_and_run_at_its_time(
    cloud: LocalCloud, manager: Caller
) -> None:
    """Within seconds of it, although no sweep comes then."""
    (job_id,) = sweeps.queue_for_later(1)
    clock.advance(sweeps.LATER_SECONDS - 100)
    assert sweeps.sweep(cloud).jobs == []
    clock.advance(60)
    assert sweeps.sweep(cloud).jobs == [job_id]
    cloud.run_until_idle()
    assert manager.job(job_id)["status"] == "queued"

    clock.advance(42)
    cloud.run_until_idle()
    assert (manager.job(job_id)["status"], manager.job(job_id)["attempts"]) == ("done", 1)


def test_a_job_for_later_whose_message_is_lost_is_pushed_again_a_minute_after_its_time(
    cloud: LocalCloud,
) -> None:
    (job_id,) = sweeps.queue_for_later(1)
    clock.advance(sweeps.LATER_SECONDS - 40)
    assert sweeps.sweep(cloud).jobs == [job_id]
    clock.advance(42)
    assert len(aws.take_messages("work")) == 1
    assert sweeps.sweep(cloud).jobs == []
    clock.advance(60)
    assert sweeps.sweep(cloud).jobs == [job_id]


def test_a_job_that_was_pushed_ahead_can_still_be_cancelled(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import completion

    (job_id,) = sweeps.queue_for_later(1)
    clock.advance(sweeps.LATER_SECONDS - 40)
    sweeps.sweep(cloud)
    assert completion.cancel("t1", job_id)
    clock.advance(42)
    cloud.run_until_idle()
    assert manager.job(job_id)["status"] == "cancelled"
    assert sample_jobs.starts.total() == 0


def test_a_job_that_was_queued_at_once_is_not_pushed_ahead_of_its_due_time(
    cloud: LocalCloud,
) -> None:
    sample_jobs.enqueue(("count", {"label": "a"}))
    clock.advance(20)
    assert sweeps.sweep(cloud).jobs == []
