"""A batch's claims go in one call, marks that meet share one: fewer calls, the same promises."""

import json

import msgspec
import pytest

from infra.local import clock, faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws, sample_jobs
from tests.functional.client import Caller

TOGETHER = "BatchExecuteStatement"
JOBS = 10  #: that one batch brings


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    sample_jobs.forget()


def enqueue_ten() -> list[str]:
    return sample_jobs.enqueue(*(("count", {"label": f"{number}"}) for number in range(JOBS)))


def made(operation: str) -> int:
    """Calls that came through since the last clear."""
    return faults.counts().get(f"dynamodb.{operation}", {"through": 0})["through"]


def send_again(ids: list[str], type_: str) -> None:
    """Another message for each of these jobs."""
    for id_ in ids:
        aws.put_message("work", message_of(id_, type_))


def message_of(id_: str, type_: str) -> str:
    return json.dumps({"v": 1, "type": type_, "tenant": "t1", "job": id_})


def each_ran_once(manager: Caller, ids: list[str]) -> bool:
    jobs = [manager.job(id_) for id_ in ids]
    assert {(job["status"], job["attempts"]) for job in jobs} == {("done", 1)}
    return set(sample_jobs.starts.values()) == {1} and len(sample_jobs.starts) == len(ids)


def test_ten_claims_take_one_call_and_marks_that_meet_while_one_is_under_way_the_next(
    cloud: LocalCloud, manager: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine ten threads take a second to meet: the first call is held that long."""
    monkeypatch.setattr("chalicelib.kernel.jobs.group_commit._MAX_WAIT_SECONDS", 30)
    ids = enqueue_ten()
    faults.clear()
    faults.add(Fault("dynamodb", TOGETHER, "delay", times=1, seconds=0))  # the claims
    faults.add(Fault("dynamodb", "UpdateItem", "delay", seconds=1.0))  # a mark that came alone
    faults.add(Fault("dynamodb", TOGETHER, "delay", times=1, seconds=1.0))  # or some of them
    cloud.run_until_idle()

    calls = [faults.counts().get(f"dynamodb.{name}", {}) for name in (TOGETHER, "UpdateItem")]
    assert sum(sum(each.values()) for each in calls) <= 5
    assert each_ran_once(manager, ids)


def test_one_message_is_claimed_and_marked_by_itself(cloud: LocalCloud, manager: Caller) -> None:
    ids = sample_jobs.enqueue(("count", {"label": "alone"}))
    faults.clear()
    cloud.run_until_idle()

    assert (made(TOGETHER), made("UpdateItem")) == (0, 2)
    assert each_ran_once(manager, ids)


@pytest.mark.parametrize("kind", ["refuse", "throttle", "lose_answer"])
@pytest.mark.parametrize("times", [1, 3, None], ids=["once", "with all its tries", "for good"])
def test_claims_that_did_not_come_through_or_whose_answer_is_lost_are_each_made_once(
    cloud: LocalCloud, manager: Caller, kind: faults.Kind, times: int | None
) -> None:
    ids = enqueue_ten()
    faults.add(Fault("dynamodb", TOGETHER, kind, times=times))
    cloud.run_until_idle()

    assert faults.counts()[f"dynamodb.{TOGETHER}"]["faulted"] >= 1
    assert each_ran_once(manager, ids)


@pytest.mark.parametrize("kind", ["refuse", "throttle", "lose_answer"])
@pytest.mark.parametrize("times", [1, 3], ids=["once", "with all its tries"])
def test_marks_that_did_not_come_through_or_whose_answer_is_lost_end_their_jobs_once(
    cloud: LocalCloud, manager: Caller, kind: faults.Kind, times: int
) -> None:
    ids = enqueue_ten()
    faults.add(Fault("dynamodb", TOGETHER, "delay", times=1, seconds=0))  # the claims
    faults.add(Fault("dynamodb", "UpdateItem", "delay", times=1, seconds=0.3))  # the others meet
    faults.add(Fault("dynamodb", TOGETHER, kind, times=times))
    cloud.run_until_idle()

    assert faults.counts()[f"dynamodb.{TOGETHER}"]["faulted"] > 1  # not the claims alone
    assert each_ran_once(manager, ids)


def test_after_a_call_that_failed_changes_are_made_one_by_one_for_a_minute(
    cloud: LocalCloud, manager: Caller
) -> None:
    faults.add(Fault("dynamodb", TOGETHER, "refuse", times=3))
    ids = enqueue_ten()
    cloud.run_until_idle()
    faults.clear()
    ids += enqueue_ten()
    cloud.run_until_idle()
    assert made(TOGETHER) == 0

    clock.advance(61)
    ids += enqueue_ten()
    cloud.run_until_idle()
    assert made(TOGETHER) > 0
    jobs = [manager.job(id_) for id_ in ids]
    assert {(job["status"], job["attempts"]) for job in jobs} == {("done", 1)}


def test_two_messages_of_one_job_in_a_batch_run_it_once(cloud: LocalCloud, manager: Caller) -> None:
    ids = sample_jobs.enqueue(("count", {"label": "a"}), ("count", {"label": "b"}))
    send_again(ids * 2, "functional.count")
    cloud.run_until_idle()

    assert each_ran_once(manager, ids)


def test_copies_of_jobs_that_wait_for_another_try_do_not_start_them_before_their_time(
    cloud: LocalCloud, manager: Caller
) -> None:
    ids = sample_jobs.enqueue(*(("fail", {"label": name, "times": 1}) for name in ("a", "b")))
    cloud.run_until_idle()
    send_again(ids, "functional.fail")
    cloud.run_until_idle()

    assert sample_jobs.starts == {"a": 1, "b": 1}
    assert {manager.job(id_)["status"] for id_ in ids} == {"queued"}


def test_a_row_that_cannot_be_read_costs_the_others_of_its_batch_nothing(
    cloud: LocalCloud, manager: Caller
) -> None:
    broken, *ids = enqueue_ten()
    aws.client("dynamodb").update_item(
        TableName="backburner-local-kernel",
        Key={"tenant": {"S": "t1"}, "sk": {"S": f"job#{broken}"}},
        UpdateExpression="SET max_attempts = :none",
        ExpressionAttributeValues={":none": {"S": "as many as it takes"}},
    )
    cloud.run_until_idle()

    assert each_ran_once(manager, ids)


def test_messages_that_come_again_are_not_claimed_as_first_attempts(
    cloud: LocalCloud, manager: Caller
) -> None:
    ids = sample_jobs.enqueue(*(("fail", {"label": name, "times": 1}) for name in ("a", "b")))
    cloud.run_until_idle()
    faults.clear()
    clock.advance(60)
    cloud.run_until_idle()

    assert sample_jobs.starts == {"a": 2, "b": 2}
    assert {manager.job(id_)["status"] for id_ in ids} == {"done"}
    assert made("UpdateItem") >= len(ids)  # the claims


def test_a_message_of_an_unknown_job_takes_no_claim_away(
    cloud: LocalCloud, manager: Caller
) -> None:
    ids = sample_jobs.enqueue(("count", {"label": "a"}), ("count", {"label": "b"}))
    bodies = aws.take_messages("work")
    send_again(ids, "functional.unheard")
    for body in bodies:
        aws.put_message("work", body)
    cloud.run_until_idle()

    assert each_ran_once(manager, ids)


def test_a_batch_brings_first_attempts_retries_copies_and_what_is_none_of_ours(
    cloud: LocalCloud, manager: Caller
) -> None:
    first, failing, ended = sample_jobs.enqueue(
        ("count", {"label": "first"}),
        ("fail", {"label": "failing", "times": 1}),
        ("count", {"label": "ended"}),
    )
    cloud.run_until_idle()
    clock.advance(120)
    (new,) = sample_jobs.enqueue(("count", {"label": "new"}))
    for body in (
        "no message",
        message_of(ended, "functional.count"),
        message_of("never-was", "functional.count"),
        message_of(first, "functional.unheard"),
    ):
        aws.put_message("work", body)
    cloud.run_until_idle()

    assert sample_jobs.starts == {"first": 1, "failing": 2, "ended": 1, "new": 1}
    assert manager.job(new)["status"] == manager.job(failing)["status"] == "done"
    assert aws.take_messages("work-dead") == ["no message"]


def test_a_job_is_not_claimed_with_others_when_there_may_be_no_time_to_try_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import worker

    ids = enqueue_ten()
    records = [
        {"messageId": str(at), "receiptHandle": "none", "body": body, "eventSourceARN": "::work"}
        for at, body in enumerate(aws.take_messages("work"))
    ]
    faults.clear()
    worker.drain({"Records": records}, 15)

    assert made("UpdateItem") >= JOBS  # the claims
    assert each_ran_once(manager, ids)


def test_more_messages_than_threads_are_claimed_as_their_turns_come(
    cloud: LocalCloud, manager: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.kernel.jobs import worker

    two = msgspec.structs.replace(worker.settings, worker_threads=2)
    monkeypatch.setattr(worker, "settings", two)
    ids = enqueue_ten()
    faults.clear()
    cloud.run_until_idle()

    assert made("UpdateItem") >= JOBS  # the claims
    assert each_ran_once(manager, ids)
