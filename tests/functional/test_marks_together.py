"""Threads that mark their jobs together: none waits long, none is forgotten, none spoils others."""

import threading

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import sample_jobs
from tests.functional.client import Caller
from tests.functional.http.store_calls import just_before

pytestmark = pytest.mark.usefixtures("cloud")
PATIENCE_SECONDS = 10


class Batch:
    """Claimed jobs, each marked by a thread of its own when it is told to."""

    def __init__(self, jobs: int) -> None:
        from chalicelib.kernel.jobs import claims, group_commit

        ids = sample_jobs.enqueue(*(("count", {"label": f"{number}"}) for number in range(jobs)))
        taken = [claims.claim("t1", id_) for id_ in ids]
        self.ids, self.claims = ids, [each for each in taken if isinstance(each, claims.Claim)]
        self.group = group_commit.Group(jobs, jobs)
        self.marked: dict[int, bool] = {}

    def mark(self, number: int) -> threading.Thread:
        thread = threading.Thread(target=self._mark, args=[number])
        thread.start()
        return thread

    def _mark(self, number: int) -> None:
        from chalicelib.kernel.jobs import ledger

        self.group.join()
        try:
            self.marked[number] = ledger.finish(self.claims[number].job, "done")
        finally:
            self.group.leave()


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def statuses(manager: Caller, batch: Batch) -> list[str]:
    return [manager.job(id_)["status"] for id_ in batch.ids]


def test_marks_that_come_together_are_all_made(manager: Caller) -> None:
    batch = Batch(30)  # more than one call takes
    join([batch.mark(number) for number in range(30)])

    assert batch.marked == dict.fromkeys(range(30), True)
    assert set(statuses(manager, batch)) == {"done"}


def test_a_call_that_hangs_does_not_hold_up_the_marks_of_others(manager: Caller) -> None:
    batch, under_way = Batch(3), threading.Event()
    faults.add(Fault("dynamodb", "UpdateItem", "delay", seconds=3))
    with just_before("UpdateItem", under_way.set):
        slow = batch.mark(0)
        assert under_way.wait(PATIENCE_SECONDS)
    join([batch.mark(1), batch.mark(2)])

    assert slow.is_alive()
    assert statuses(manager, batch) == ["running", "done", "done"]
    slow.join()
    assert statuses(manager, batch) == ["done"] * 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_ends_while_it_marks_for_others_leaves_them_to_mark_for_themselves(
    manager: Caller,
) -> None:
    def end() -> None:
        raise SystemExit

    batch = Batch(5)
    with just_before("BatchExecuteStatement", end):
        threads = [batch.mark(number) for number in range(5)]
        join(threads)

    assert list(batch.marked.values()) == [True] * 4
    assert statuses(manager, batch).count("done") == 4


def test_a_mark_whose_claim_was_lost_changes_nothing_and_spoils_no_other(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import claims

    batch = Batch(4)
    cloud.advance(120)  # leases are over
    assert isinstance(claims.claim("t1", batch.ids[0]), claims.Claim)
    join([batch.mark(number) for number in range(4)])

    assert batch.marked == {0: False, 1: True, 2: True, 3: True}
    assert statuses(manager, batch) == ["running", "done", "done", "done"]
