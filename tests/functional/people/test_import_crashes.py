"""An import whose workers die, whose messages come twice, whose store stumbles: right counts."""

import time
from collections import Counter
from typing import Any

import pytest

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Caller
from tests.functional.http.store_calls import Process, killed_at

AFTER_A_CRASH_SECONDS = 400  # leases and the messages' visibility are over
MOST_SECONDS = 240
WINDOW_SECONDS = 3  #: a job that waits for room in its window comes back
IN_FLIGHT = 10  #: messages of one delivery
ONE_CHUNK = 21  #: rows of one job that creates them in two transactions
TWO_CHUNKS = 26
BAD_EVERY = 50  #: each so many rows one is unreadable, one came before, one exists in the tenant


@pytest.fixture(autouse=True)
def _without_events(cloud: LocalCloud) -> None:
    """What SES says of its mails afterwards would be half the work, and hide a second mail."""
    cloud.mail_events.muted = True


def file_of(rows: int) -> tuple[str, dict[int, str]]:
    """A file, and the word that must stand in the error of each of its bad lines."""
    lines, bad = ["name,email,phone,role"], {}
    for number in range(rows):
        email, kind = f"u{number}@example.com", number % BAD_EVERY
        if kind == 7:
            email, bad[number + 2] = f"u{number} at example.com", "email"
        elif kind == 17:
            email, bad[number + 2] = f"U{number - 1}@Example.com", "before"
        elif kind == 27:
            email, bad[number + 2] = f"Taken{number}@example.com", "exists"
        lines.append(f"User {number},{email},,staff")
    return "\n".join(lines) + "\n", bad


class Watch:
    """One import's batch, read again and again: it must never go back."""

    def __init__(self, caller: Caller, batch_id: str) -> None:
        self._caller, self._path = caller, f"/v1/batches/{batch_id}"
        self._last: tuple[int, int, int] = (0, 0, 0)

    def look(self) -> dict[str, Any]:
        batch: dict[str, Any] = self._caller.get(self._path).json()["data"]
        now = (batch["done"], batch["failed"], batch["percent"])
        assert all(new >= old for new, old in zip(now, self._last, strict=True)), (self._last, now)
        assert batch["done"] <= batch["total"]
        assert (batch["percent"] == 100) is (batch["done"] == batch["total"])
        assert batch["eta_seconds"] >= 0
        self._last = now
        return batch


def start(manager: Caller, file: str) -> Watch:
    headers = {"Content-Type": "text/csv"}
    answer = manager.send("POST", "/admin/v1/users/import", headers=headers, data=file)
    assert answer.status_code == 202, answer.text
    return Watch(manager, answer.json()["data"]["batch_id"])


def work(cloud: LocalCloud, watch: Watch, process: Process | None = None) -> None:
    """Works the import's queue delivery by delivery until it is done, or nothing is left there,
    or the process that works it is dead.
    """
    (bulk,) = [each for each in cloud.mappings if each.queue_name.endswith("-bulk")]
    while watch.look()["status"] in ("pending", "running"):
        delivered = bulk.poll_once(cloud._sqs)
        if process is not None and process.dead:
            return
        if not delivered:
            cloud.advance(WINDOW_SECONDS)
            if not bulk.poll_once(cloud._sqs):
                return


@pytest.mark.parametrize(
    "rows",
    [
        80,
        pytest.param(300, marks=pytest.mark.thorough),
        pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.local]),
    ],
)
def test_an_import_whose_worker_is_killed_twice_ends_with_right_counts_and_every_bad_row_reported(
    cloud: LocalCloud, manager: Caller, rows: int
) -> None:
    started = time.monotonic()
    taken = range(27, rows, BAD_EVERY)
    for number in taken:
        manager.create_user(email=f"taken{number}@example.com", send_email=False)
    file, bad = file_of(rows)
    watch = start(manager, file)

    for calls in (6, 5):
        with killed_at("TransactWriteItems", calls) as process:
            work(cloud, watch, process)
        assert process.dead
        assert watch.look()["status"] in ("pending", "running")
        cloud.advance(AFTER_A_CRASH_SECONDS)
    work(cloud, watch)
    seconds = time.monotonic() - started
    cloud.run_until_idle()
    cloud.advance(AFTER_A_CRASH_SECONDS)  # whose mails were under way waited for an event in vain
    cloud.run_until_idle()

    batch = watch.look()
    assert (batch["total"], batch["done"], batch["failed"]) == (rows, rows, len(bad))
    assert (batch["status"], batch["eta_seconds"]) == ("done", 0)
    assert [error["line"] for error in batch["errors"]] == sorted(bad)
    for error in batch["errors"]:
        assert bad[error["line"]] in error["detail"], error
    people = [sk for sk in aws.rows("people") if sk.startswith("person#")]
    assert len(people) == rows - len(bad) + len(taken)
    sent = Counter(each.to for each in mailbox.sent())
    assert len(sent) == rows - len(bad)
    # An invitation is sent at least once: what was between SES and its mark at a crash, again.
    assert sent.total() - len(sent) <= 2 * IN_FLIGHT
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize(
    "nth", [1, *(pytest.param(nth, marks=pytest.mark.thorough) for nth in (2, 3)), 4]
)
def test_wherever_a_worker_dies_its_own_rows_are_no_duplicates_afterwards(
    cloud: LocalCloud, manager: Caller, nth: int, when: Any
) -> None:
    watch = start(manager, file_with(ONE_CHUNK))
    with killed_at("TransactWriteItems", nth, when) as process:
        cloud.run_until_idle()
    assert process.dead
    cloud.advance(AFTER_A_CRASH_SECONDS)
    cloud.run_until_idle()

    batch = watch.look()
    assert (batch["status"], batch["done"], batch["errors"]) == ("done", ONE_CHUNK, [])
    assert batch["finished_at"]
    assert len(manager.users()) == len(mailbox.sent()) == ONE_CHUNK


def file_with(rows: int) -> str:
    return "name,email,role\n" + "".join(f"N,u{n}@example.com,staff\n" for n in range(rows))


def messages(cloud: LocalCloud) -> list[str]:
    """The bodies of the bulk queue's messages, put back where they were."""
    bodies = aws.take_messages("bulk")
    for body in bodies:
        aws.put_message("bulk", body)
    return bodies


def test_a_message_that_comes_three_times_counts_once(cloud: LocalCloud, manager: Caller) -> None:
    watch = start(manager, file_with(TWO_CHUNKS))
    for body in messages(cloud):
        aws.put_message("bulk", body)
        aws.put_message("bulk", body)
    work(cloud, watch)
    cloud.run_until_idle()

    batch = watch.look()
    assert (batch["total"], batch["done"], batch["failed"]) == (TWO_CHUNKS, TWO_CHUNKS, 0)
    assert (batch["status"], batch["errors"]) == ("done", [])
    assert len(manager.users()) == len(mailbox.sent()) == TWO_CHUNKS


def test_two_imports_of_one_file_at_once_share_its_rows_between_them(
    cloud: LocalCloud, manager: Caller
) -> None:
    first, second = start(manager, file_with(TWO_CHUNKS)), start(manager, file_with(TWO_CHUNKS))
    work(cloud, first)
    cloud.run_until_idle()

    batches = (first.look(), second.look())
    assert sum(batch["failed"] for batch in batches) == TWO_CHUNKS
    assert sum(len(batch["errors"]) for batch in batches) == TWO_CHUNKS
    assert len(manager.users()) == len(mailbox.sent()) == TWO_CHUNKS


def later(cloud: LocalCloud) -> None:
    for _ in range(6):
        cloud.advance(AFTER_A_CRASH_SECONDS)
        cloud.run_until_idle()


BUSY = "TransactionConflictException"  # which the SDK does not repeat by itself


@pytest.mark.parametrize(
    "outage",
    [
        {"kind": "refuse", "times": None},
        {"kind": "throttle", "times": None},
        {"kind": "lose_answer", "times": None},
        {"kind": "refuse", "times": 1, "code": BUSY},
        {"kind": "refuse", "times": 3, "code": BUSY},
    ],
    ids=str,
)
def test_an_import_waits_for_a_store_that_is_down_and_loses_no_row(
    cloud: LocalCloud, manager: Caller, outage: dict[str, Any]
) -> None:
    watch = start(manager, file_with(TWO_CHUNKS))
    faults.add(Fault("dynamodb", "TransactWriteItems", **outage))
    cloud.run_until_idle()
    assert faults.counts()["dynamodb.TransactWriteItems"]["faulted"] >= 1
    faults.clear()
    later(cloud)

    batch = watch.look()
    assert (batch["status"], batch["total"], batch["done"]) == ("done", TWO_CHUNKS, TWO_CHUNKS)
    assert (batch["failed"], batch["errors"]) == (0, [])
    assert len(manager.users()) == len(mailbox.sent()) == TWO_CHUNKS


def test_what_is_left_of_an_import_carries_the_time_at_which_dynamodb_deletes_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    start(manager, file_with(3) + "bad,row,here\n")
    cloud.run_until_idle()

    now = time.time()
    assert {sk.partition("#")[0] for sk in aws.rows("people")} == {"person", "email"}
    kernel = aws.rows("kernel")
    days = {"batch": 30, "batch-errors": 30, "job": 30, "to": 3}
    assert {sk.partition("#")[0] for sk in kernel} == days.keys()
    for sk, row in kernel.items():
        expected = now + days[sk.partition("#")[0]] * 86_400
        assert abs(int(row["expires_at"]["N"]) - expected) < 60, sk


def test_an_upload_that_is_gone_fails_its_rows_and_says_so(
    cloud: LocalCloud, manager: Caller
) -> None:
    watch = start(manager, file_with(30))
    (first, *_) = sorted(sk for sk in aws.rows("people") if sk.startswith("upload#"))
    aws.delete_row("people", first)
    cloud.run_until_idle()

    batch = watch.look()
    assert (batch["status"], batch["done"], batch["failed"]) == ("done", 30, 25)
    (error,) = batch["errors"]
    assert "upload the file again" in error["detail"]
    assert manager.job(error["job_id"])["status"] == "failed"
