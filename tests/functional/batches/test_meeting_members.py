"""Many members of one batch that end at the same time, where transactions that meet are refused."""

from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import pytest

from infra.local import conflicts, faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.batches import members
from tests.functional.batches.batch import figures, row
from tests.functional.client import Caller

WORKERS = 4
IN_ONE_TRANSACTION = 45
MOST_MORE_CALLS = 1.2  #: of a job, because of transactions that meet


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def start(jobs: int) -> str:
    """A batch of so many single jobs; its id."""
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    with Transaction("t1") as tx:
        batch = batches.create(tx, jobs=jobs, finally_="batches.finally_")
        tx.enqueue("batches.good", Delivery(batch=batch), label="first")
    for at in range(1, jobs, IN_ONE_TRANSACTION):
        with Transaction("t1") as tx:
            joined = batches.join(tx, row(batch.id))
            for number in range(at, min(at + IN_ONE_TRANSACTION, jobs)):
                tx.enqueue("batches.good", Delivery(batch=joined), label=f"{number}")
    return batch.id


def work(cloud: LocalCloud) -> None:
    """Works the queue by several workers at once until it is empty."""
    (queue,) = [each for each in cloud.mappings if each.queue_name.endswith("-work")]

    def drain(_: int) -> None:
        while queue.poll_once(cloud._sqs):
            pass

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(drain, range(WORKERS)))
    cloud.run_until_idle()


def calls() -> int:
    """Calls of DynamoDB since faults were cleared, those that were refused among them."""
    counts = faults.counts().items()
    return sum(each["through"] for name, each in counts if name.startswith("dynamodb."))


def refused() -> int:
    return sum(conflicts.refused().values())


@pytest.mark.parametrize("jobs", [120, pytest.param(2_000, marks=pytest.mark.thorough)])
def test_members_that_end_at_once_are_counted_right_and_seldom_refuse_each_other(
    cloud: LocalCloud, manager: Caller, jobs: int
) -> None:
    start(jobs)
    faults.clear()
    work(cloud)
    calls_without = calls()

    batch_id = start(jobs)
    faults.clear()
    faults.add(Fault("dynamodb", kind="conflicts"))
    work(cloud)
    more_calls = (calls() - calls_without) / jobs

    assert refused() > 0
    assert more_calls <= MOST_MORE_CALLS, f"{more_calls:.2f} calls a job more"
    assert figures(manager, batch_id) == ("done", jobs, jobs, 0, 100)
    assert members.ran["finally"] == 2


def test_with_one_row_of_counters_most_would_refuse_each_other(cloud: LocalCloud) -> None:
    """The same with the batch's counters in one row, to show that the test above can fail."""
    jobs = 120
    with patch("chalicelib.kernel.jobs.batches.MOST_SHARDS", 1):
        start(jobs)
        faults.add(Fault("dynamodb", kind="conflicts"))
        work(cloud)
        assert refused() > MOST_MORE_CALLS * jobs
