"""Jobs for a later time."""

import time

import pytest

from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.client import Caller

HOUR_SECONDS = 3600


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def enqueue_for(at: int, label: str = "a") -> str:
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    with Transaction("t1") as tx:
        return tx.enqueue("batches.good", Delivery(not_before=at), label=label).id


def test_a_job_for_later_waits_in_the_ledger_and_runs_within_a_minute_of_its_time(
    cloud: LocalCloud, manager: Caller
) -> None:
    job_id = enqueue_for(int(time.time()) + HOUR_SECONDS)
    assert aws.take_messages("work") == []
    assert manager.job(job_id)["next_attempt_at"]

    cloud.advance(HOUR_SECONDS - 10)
    cloud.run_until_idle()
    assert members.ran == {}

    cloud.advance(60)
    cloud.run_until_idle()
    assert members.ran == {"a": 1}


def test_a_time_that_is_past_means_at_once(cloud: LocalCloud) -> None:
    enqueue_for(int(time.time()) - 10)
    cloud.run_until_idle()

    assert members.ran == {"a": 1}


def test_a_job_for_later_can_be_cancelled(cloud: LocalCloud, manager: Caller) -> None:
    from chalicelib.kernel.jobs import completion

    job_id = enqueue_for(int(time.time()) + HOUR_SECONDS)
    assert completion.cancel("t1", job_id)
    cloud.advance(HOUR_SECONDS + 60)
    cloud.run_until_idle()

    assert members.ran == {}
    assert manager.job(job_id)["status"] == "cancelled"
