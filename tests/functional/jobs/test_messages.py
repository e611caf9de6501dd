"""What becomes of messages that are copies, unreadable, from a newer release, or of no job."""

import json
from typing import Any

import pytest

from infra.local import clock
from infra.local.cloud import LocalCloud
from tests.functional import aws, sample_jobs
from tests.functional.client import Caller


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    sample_jobs.forget()


def advance_by(cloud: LocalCloud, *, minutes: int) -> None:
    cloud.run_until_idle()
    for _ in range(minutes):
        cloud.advance(60)
        cloud.run_until_idle()


def test_copies_of_a_message_run_the_job_once(cloud: LocalCloud, manager: Caller) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "copied"}))
    body = json.dumps({"v": 1, "type": "functional.count", "tenant": "t1", "job": job_id})
    for _ in range(25):
        aws.put_message("work", body)
    advance_by(cloud, minutes=5)

    assert sample_jobs.starts["copied"] == 1
    assert aws.left_in("work") == 0


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "{}",
        "null",
        '{"v": 1}',
        '{"v": "x", "type": "a", "tenant": "t1", "job": "j"}',
        '{"v": 1, "type": 7, "tenant": "t1", "job": "j"}',
        '{"v": 1, "type": "", "tenant": "t1", "job": "j"}',
        '{"v": 1, "type": "functional.count", "tenant": null, "job": "j"}',
        "[" * 5000,
    ],
)
def test_an_unreadable_message_goes_to_the_dead_letters_and_the_good_ones_beside_it_are_done(
    cloud: LocalCloud, body: str
) -> None:
    aws.put_message("work", body or " ")
    sample_jobs.enqueue(*(("count", {"label": str(number)}) for number in range(9)))
    cloud.run_until_idle()

    assert len(sample_jobs.starts) == 9
    assert aws.take_messages("work-dead") == [body or " "]
    assert aws.left_in("work") == 0


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"type": "functional.unheard"}, {"type": "nodomain.job"}, {"type": "..x"}]
)
def test_a_message_of_a_newer_release_is_parked_and_neither_failed_nor_lost(
    cloud: LocalCloud, manager: Caller, change: dict[str, Any]
) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "new"}))
    aws.take_messages("work")
    clock.advance(361)
    drained = [json.loads(body) for body in aws.take_messages("work")]
    assert [each["job"] for each in drained] == [job_id]
    cloud.reset()
    aws.put_message("work", json.dumps({**drained[0], **change}))
    advance_by(cloud, minutes=14)
    assert sample_jobs.starts["new"] == 0
    assert aws.left_in("work") == 1
    assert cloud.state()["queues"]["work"]["dead"] == 0

    seen = 0
    for _ in range(3):
        clock.advance(360)
        seen += cloud.run_until_idle()
    assert seen >= 1
    assert aws.left_in("work") == 1


def test_a_message_whose_job_does_not_exist_is_dropped(cloud: LocalCloud) -> None:
    body = {"v": 1, "type": "functional.count", "tenant": "t1", "job": "01m81vfpqa4g492km3ew3kvx3r"}
    aws.put_message("work", json.dumps(body))
    cloud.run_until_idle()

    assert sample_jobs.starts == {}
    assert aws.left_in("work") == 0


def test_a_message_cannot_run_another_tenants_job(cloud: LocalCloud, manager: Caller) -> None:
    (job_id,) = sample_jobs.enqueue(("count", {"label": "mine"}))
    aws.take_messages("work")
    body = {"v": 1, "type": "functional.count", "tenant": "t2", "job": job_id}
    aws.put_message("work", json.dumps(body))

    assert cloud.run_until_idle() == 1
    assert sample_jobs.starts == {}
    assert manager.job(job_id)["status"] == "queued"


def test_messages_carry_ids_only(cloud: LocalCloud, manager: Caller) -> None:
    manager.create_user("Ann Example", email="ann@example.com", phone="+4915112345678")

    bodies = aws.take_messages("notify")
    assert len(bodies) == 2
    for body in bodies:
        assert set(json.loads(body)) == {"v", "type", "tenant", "job"}
        assert "ann" not in body.lower()
        assert "+49" not in body
