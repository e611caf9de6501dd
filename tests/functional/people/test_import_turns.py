"""The chunks of an import take turns, whatever happens to one of them."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, let_transactions_meet
from tests.functional.http.store_calls import just_before, killed_at
from tests.functional.people.uploads import batch_of, errors_by_line, upload
from tests.functional.people.worked_imports import (
    assert_all_is_done,
    file_with,
    jobs,
    uploads,
    work_until_ended,
)

TWO_CHUNKS = 26
LEASE_SECONDS = 100
AFTER_A_CRASH_SECONDS = 400
HOUR_SECONDS = 3600
IN_FLIGHT = 10  #: messages of one delivery


@pytest.fixture(autouse=True)
def _without_events(cloud: LocalCloud) -> None:
    """What SES says of its mails afterwards would be half the work."""
    cloud.mail_events.muted = True


CALLS = [
    *(("TransactWriteItems", nth) for nth in range(1, 7)),
    *(("DeleteItem", nth) for nth in (1, 2, 3)),
    *(("BatchGetItem", nth) for nth in (1, 2, 3)),
    *(("UpdateItem", nth) for nth in (1, 2, 3)),
    *(("GetItem", nth) for nth in (3, 5, 7, 9)),
]


@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize(
    ("operation", "nth"),
    [
        pytest.param(*call, marks=() if call[0] == "DeleteItem" else pytest.mark.thorough)
        for call in CALLS
    ],
)
def test_wherever_a_worker_dies_the_next_chunk_has_its_turn_and_nothing_is_left(
    cloud: LocalCloud, manager: Caller, operation: str, nth: int, when: Any
) -> None:
    answer = upload(manager, file_with(TWO_CHUNKS))
    with killed_at(operation, nth, when) as process:
        cloud.run_until_idle()
    assert process.dead
    work_until_ended(cloud, AFTER_A_CRASH_SECONDS, rounds=4)

    # What was between SES and its mark at the crash is sent again.
    assert_all_is_done(manager, answer, TWO_CHUNKS, again=IN_FLIGHT)


def test_rows_that_were_refused_before_a_crash_are_reported_after_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    for number in (3, 22):
        manager.create_user(email=f"u{number}@example.com", send_email=False)
    answer = upload(manager, file_with(25))
    # 1: refused because of line 5, 2: without it, 3: refused because of line 24
    with killed_at("TransactWriteItems", 3) as process:
        cloud.run_until_idle()
    assert process.dead
    work_until_ended(cloud, AFTER_A_CRASH_SECONDS, rounds=4)

    batch = batch_of(manager, answer)
    assert sorted(errors_by_line(batch)) == [5, 24]
    assert (batch["done"], batch["failed"], len(mailbox.sent())) == (25, 2, 23)


def test_of_two_runs_of_one_chunk_at_once_one_gives_way(cloud: LocalCloud, manager: Caller) -> None:
    answer = upload(manager, file_with(25))
    (body,) = aws.take_messages("bulk")
    aws.put_message("bulk", body)

    def another_worker_takes_over() -> None:
        cloud.advance(LEASE_SECONDS)
        aws.put_message("bulk", body)
        cloud.run_until_idle()

    with just_before("TransactWriteItems", another_worker_takes_over):
        cloud.run_until_idle()
    work_until_ended(cloud)

    assert batch_of(manager, answer)["done"] == 25
    assert len(jobs("people.invitation")) == len(manager.users()) == len(mailbox.sent()) == 25


def test_many_workers_at_once_create_each_user_once(cloud: LocalCloud, manager: Caller) -> None:
    (bulk,) = [each for each in cloud.mappings if each.queue_name.endswith("-bulk")]
    answer = upload(manager, file_with(TWO_CHUNKS))
    (body,) = aws.take_messages("bulk")
    for _ in range(30):
        aws.put_message("bulk", body)
    let_transactions_meet()
    with ThreadPoolExecutor(3) as pool:
        for _ in range(4):
            list(pool.map(lambda _: bulk.poll_once(cloud._sqs), range(3)))
    faults.clear()
    work_until_ended(cloud, 60)

    assert_all_is_done(manager, answer, TWO_CHUNKS)


def test_the_chunks_of_a_batch_that_was_cancelled_end_soon(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import batches

    answer = upload(manager, file_with(300))
    assert batches.cancel("t1", answer.json()["data"]["batch_id"])
    cloud.run_until_idle()

    statuses = Counter(row["status"]["S"] for row in jobs("people.import_rows"))
    assert statuses == {"cancelled": 12}
    assert manager.users() == uploads() == []


def test_a_chunk_that_fails_lets_the_others_go_on(cloud: LocalCloud, manager: Caller) -> None:
    answer = upload(manager, file_with(60))
    first, *_ = sorted(sk for sk in aws.rows("people") if sk.startswith("upload#"))
    aws.delete_row("people", first)
    cloud.run_until_idle()

    batch = batch_of(manager, answer)
    assert (batch["status"], batch["done"], batch["failed"]) == ("done", 60, 25)


def test_a_chunk_comes_by_itself_after_an_hour_if_nothing_brought_it_forward(
    cloud: LocalCloud, manager: Caller
) -> None:
    answer = upload(manager, file_with(TWO_CHUNKS))
    with killed_at("DeleteItem", 1) as process:
        cloud.run_until_idle()
    assert process.dead
    aws.client("sqs").purge_queue(QueueUrl=aws.queue_url("bulk"))
    cloud.advance(HOUR_SECONDS - 120)
    cloud.run_until_idle()
    assert len(mailbox.sent()) == 25
    cloud.advance(180)
    work_until_ended(cloud)

    assert batch_of(manager, answer)["done"] == len(mailbox.sent()) == TWO_CHUNKS


def test_a_chunk_that_comes_before_its_turn_waits_and_costs_no_attempt(
    cloud: LocalCloud, manager: Caller
) -> None:
    upload(manager, file_with(TWO_CHUNKS))
    aws.take_messages("bulk")  # nobody works the first
    cloud.advance(HOUR_SECONDS)
    (window,) = (row for sk, row in aws.rows("kernel").items() if sk.startswith("window#"))
    first, second = (f"job#{part['S']}" for part in window["parts"]["L"])
    aws.take_messages("bulk")
    _push(second)
    cloud.run_until_idle()

    job = manager.job(second.removeprefix("job#"))
    assert (job["status"], job["attempts"]) == ("queued", 0)
    assert job["last_error"] == "waits for the parts before it"
    assert manager.users() == []
    _push(first)
    work_until_ended(cloud)
    assert len(mailbox.sent()) == TWO_CHUNKS


def _push(sk: str) -> None:
    from chalicelib.kernel.jobs import outbox
    from chalicelib.kernel.jobs.ledger import Job

    assert outbox.push([Job.get("t1", sk)])


def test_an_import_that_an_earlier_release_has_queued_is_worked(
    cloud: LocalCloud, manager: Caller
) -> None:
    answer = upload(manager, file_with(TWO_CHUNKS))
    (window,) = (sk for sk in aws.rows("kernel") if sk.startswith("window#"))
    aws.delete_row("kernel", window)
    soon = {"N": "1"}
    items = [{**row, "due_at": soon} for row in jobs("people.import_rows")]
    for item in items:
        item.pop("not_before", None)
    aws.put_rows("kernel", items)
    aws.put_rows("people", [{**row, "expires_at": {"N": "2000000000"}} for row in uploads()])
    aws.take_messages("bulk")
    cloud.advance(61)
    work_until_ended(cloud)

    assert_all_is_done(manager, answer, TWO_CHUNKS)
