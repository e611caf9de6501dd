"""A member that has ended is taken out of its batch's count, to run once more."""

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.batches import members
from tests.functional.batches.batch import FOLLOWING, figures, followers, seen, start
from tests.functional.client import Caller


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def run_again(job_id: str) -> None:
    """What an operator's retry will do."""
    from chalicelib.kernel.errors import Conflict
    from chalicelib.kernel.jobs import batches, ledger, outbox
    from chalicelib.kernel.jobs.ledger import Job
    from chalicelib.kernel.store.write_set import WriteSet

    job = ledger.get("t1", job_id, consistent=True)
    assert job is not None
    with WriteSet() as tx:
        tx.update(job, [Job.status.set("queued"), Job.attempts.set(0)], Job.status == job.status)
        batches.take_back(tx, job, Conflict("The batch has settled"))
    outbox.push([job])


def test_a_failed_member_is_taken_back_with_its_error_and_counted_at_its_next_end(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch_id = start("refused", "bad", units=3, **FOLLOWING)
    cloud.run_until_idle()  # the second waits for another try
    (failed,) = manager.jobs(status="failed")
    assert figures(manager, batch_id) == ("running", 6, 3, 3, 50)
    assert len(seen(manager, batch_id)["errors"]) == 1

    run_again(failed["id"])
    assert figures(manager, batch_id) == ("pending", 6, 0, 0, 0)
    assert seen(manager, batch_id)["errors"] == []
    cloud.run_until_idle()
    assert figures(manager, batch_id) == ("running", 6, 3, 3, 50)
    assert members.ran["refused-0"] == 2
    assert followers() == {}
    cloud.advance(400)
    cloud.run_until_idle()
    assert figures(manager, batch_id) == ("failed", 6, 6, 6, 100)
    assert followers() == {"catch": 1, "finally": 1}


def test_of_a_batch_that_has_settled_nothing_is_taken_back(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.errors import Conflict

    batch_id = start("refused", "good")
    cloud.run_until_idle()
    (failed,) = manager.jobs(status="failed")
    with pytest.raises(Conflict, match="has settled"):
        run_again(failed["id"])

    assert figures(manager, batch_id) == ("done", 2, 2, 1, 100)
    assert manager.job(failed["id"])["status"] == "failed"
