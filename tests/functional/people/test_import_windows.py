"""An import hands at most 200 jobs to its queue at a time, whatever comes between."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Answer, Caller
from tests.functional.http.store_calls import hooked, just_before, killed_at
from tests.functional.people.uploads import batch_of, told, upload

MOST_JOBS = 200
TWO_CHUNKS = 26
LEASE_SECONDS = 100
AFTER_A_CRASH_SECONDS = 400
HOUR_SECONDS = 3600
IN_FLIGHT = 10  #: messages of one delivery
SMALL_WINDOW = 25


@pytest.fixture(autouse=True)
def _without_events(cloud: LocalCloud) -> None:
    """What SES says of its mails afterwards would be half the work."""
    cloud.mail_events.muted = True


@pytest.fixture
def resize(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many jobs a window holds, so that a short file fills it."""
    from chalicelib.kernel.jobs import windows

    assert windows.MOST_JOBS == MOST_JOBS
    return lambda most: monkeypatch.setattr(windows, "MOST_JOBS", most)


def file_with(rows: int) -> str:
    return "name,email,role\n" + "".join(f"N,u{n}@example.com,staff\n" for n in range(rows))


def jobs(kind: str) -> list[dict[str, Any]]:
    kernel = aws.rows("kernel")
    return [row for sk, row in kernel.items() if sk.startswith("job#") and row["type"]["S"] == kind]


def in_hand() -> int:
    """Jobs of the import that have been handed to its queue and have not ended."""
    invitations = [row["status"]["S"] for row in jobs("people.invitation")]
    chunks = [row for row in jobs("people.import_rows") if "not_before" not in row]
    statuses = [*invitations, *(row["status"]["S"] for row in chunks)]
    return sum(status in ("queued", "running") for status in statuses)


def uploads() -> list[dict[str, Any]]:
    return [row for sk, row in aws.rows("people").items() if sk.startswith("upload#")]


def work_until_ended(cloud: LocalCloud, seconds: int = 3, rounds: int = 100) -> None:
    """Works everything; the clock moves in steps until no job of the tenant is left."""
    for _ in range(rounds):
        cloud.run_until_idle()
        kernel = aws.rows("kernel")
        left = [sk for sk, row in kernel.items() if sk.startswith("job#") and "due_at" in row]
        if not left:
            return
        cloud.advance(seconds)
    raise AssertionError(f"{len(left)} jobs have not ended")


@contextmanager
def counted_in_hand() -> Iterator[list[int]]:
    """What was in hand after each transaction, since only transactions queue jobs."""
    counts: list[int] = []
    with hooked("after-call.dynamodb.TransactWriteItems", lambda **_: counts.append(in_hand())):
        yield counts


@pytest.mark.parametrize(
    ("most", "rows"), [(45, 60), pytest.param(200, 210, marks=pytest.mark.thorough)]
)
def test_at_no_moment_has_an_import_more_jobs_in_hand_than_its_window_holds(
    cloud: LocalCloud, manager: Caller, most: int, rows: int, resize: Callable[[int], None]
) -> None:
    resize(most)
    answer = upload(manager, file_with(rows))
    assert in_hand() == aws.left_in("bulk") == 1
    faults.add(Fault("ses", times=None))  # so that they gather
    with counted_in_hand() as counts:
        cloud.run_until_idle()
        assert in_hand() > most - 20
        faults.clear()
        work_until_ended(cloud, 20)

    assert max(counts) <= most
    assert_all_is_done(manager, answer, rows)


def assert_all_is_done(manager: Caller, answer: Answer, rows: int, *, again: int = 0) -> None:
    """All rows are users with one mail each, but `again` may have a second one; nothing is left."""
    batch = batch_of(manager, answer)
    assert (batch["status"], batch["done"], batch["errors"]) == ("done", rows, [])
    sent = Counter(each.to for each in mailbox.sent())
    assert len(manager.users()) == len(sent) == rows
    assert sent.total() <= rows + again
    assert uploads() == []
    assert not [sk for sk in aws.rows("kernel") if sk.startswith("window#")]


def test_rows_without_messages_are_created_at_once(cloud: LocalCloud, manager: Caller) -> None:
    lines = [f"N,u{n}@example.com,staff,false,false\n" for n in range(300)]
    answer = upload(manager, "name,email,role,send_email,send_sms\n" + "".join(lines))
    cloud.run_until_idle()

    assert batch_of(manager, answer)["done"] == 300
    assert mailbox.sent() == []


def test_an_address_that_is_tried_for_minutes_holds_up_nobody_else(
    cloud: LocalCloud, manager: Caller, resize: Callable[[int], None]
) -> None:
    resize(SMALL_WINDOW)

    def lose_answer(mail: mailbox.Sent) -> None:
        if mail.to == "u3@example.com":
            raise ReadTimeoutError(endpoint_url="https://email")

    mailbox.on_record(lose_answer)
    answer = upload(manager, file_with(2 * SMALL_WINDOW))
    for _ in range(10):
        cloud.run_until_idle()
        cloud.advance(3)
    mailbox.off_record(lose_answer)

    assert batch_of(manager, answer)["done"] == 2 * SMALL_WINDOW
    assert in_hand() == 1
    assert len({each.to for each in mailbox.sent()}) == 2 * SMALL_WINDOW


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


def test_rows_that_were_refused_before_a_crash_are_told_after_it(
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
    assert sorted(told(batch)) == [5, 24]
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
    first, second = sorted(row["sk"]["S"] for row in jobs("people.import_rows"))
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


@pytest.mark.parametrize("hours", [4, pytest.param(24, marks=pytest.mark.thorough)])
def test_a_day_without_ses_loses_no_row_and_sends_every_mail_once(
    cloud: LocalCloud, manager: Caller, resize: Callable[[int], None], hours: int
) -> None:
    resize(SMALL_WINDOW)
    answer = upload(manager, file_with(30))
    faults.add(Fault("ses", times=None))
    for _ in range(hours // 2):
        cloud.run_until_idle()
        cloud.advance(2 * HOUR_SECONDS)
    assert uploads()
    assert not [row for row in uploads() if "expires_at" in row]
    (window,) = (row for sk, row in aws.rows("kernel").items() if sk.startswith("window#"))
    assert "expires_at" not in window
    faults.clear()
    work_until_ended(cloud, 600)

    assert_all_is_done(manager, answer, 30)


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
