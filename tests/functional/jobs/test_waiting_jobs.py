"""Workers stopped for half an hour: few copies of each message, and all done once afterwards."""

from collections import Counter

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws, sample_jobs
from tests.functional.client import Caller

MOST_MESSAGES = 8


@pytest.mark.parametrize(
    "jobs",
    [
        25,
        pytest.param(120, marks=pytest.mark.thorough),
        pytest.param(10_000, marks=pytest.mark.slow),
    ],
)
def test_jobs_that_wait_half_an_hour_get_few_messages_and_are_all_done_once_afterwards(
    cloud: LocalCloud, manager: Caller, jobs: int
) -> None:
    sample_jobs.forget()
    labels = [f"job-{number}" for number in range(jobs)]
    sample_jobs.enqueue(*(("count", {"label": label}) for label in labels))
    for _ in range(30):
        cloud.advance(60)

    messages = cloud.state()["queues"]["work"]["waiting"]
    assert jobs < messages <= MOST_MESSAGES * jobs
    deliveries = cloud.run_until_idle()
    assert deliveries == messages
    assert sample_jobs.starts == Counter(labels)
    assert cloud.state()["queues"]["work"]["dead"] == 0
    assert {row["status"]["S"] for row in aws.rows("kernel").values()} == {"done"}


def test_no_single_job_gets_more_than_its_share_of_messages(cloud: LocalCloud) -> None:
    ids = sample_jobs.enqueue(*(("count", {"label": str(number)}) for number in range(10)))
    for _ in range(30):
        cloud.advance(60)

    copies = Counter(aws.jobs_named_by(aws.take_messages("work")))
    assert set(copies) == set(ids)
    assert 2 <= min(copies.values()) <= max(copies.values()) <= MOST_MESSAGES


def test_two_days_without_workers_cost_a_message_an_hour(cloud: LocalCloud) -> None:
    sample_jobs.enqueue(("count", {"label": "patient"}))
    for _ in range(48):
        cloud.advance(3600)

    pushes = faults.counts()["sqs.SendMessageBatch"]["through"]
    assert 40 < pushes <= 48 + MOST_MESSAGES


def test_jobs_saved_during_an_outage_of_the_queues_are_all_done_once_after_it(
    cloud: LocalCloud,
) -> None:
    sample_jobs.forget()
    faults.add(Fault("sqs", "SendMessageBatch", "refuse", times=None))
    labels = [f"job-{number}" for number in range(20)]
    sample_jobs.enqueue(*(("count", {"label": label}) for label in labels))
    for _ in range(5):
        cloud.advance(60)
    faults.clear()
    cloud.advance(60)
    cloud.run_until_idle()

    assert sample_jobs.starts == Counter(labels)
