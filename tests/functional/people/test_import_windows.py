"""An import hands at most 200 jobs to its queue at a time, whatever comes between."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ReadTimeoutError

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Caller
from tests.functional.http.store_calls import hooked
from tests.functional.people.uploads import batch_of, upload
from tests.functional.people.worked_imports import (
    assert_all_is_done,
    file_with,
    in_hand,
    uploads,
    work_until_ended,
)

MOST_JOBS = 200
HOUR_SECONDS = 3600
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


@contextmanager
def counted_in_hand() -> Iterator[list[int]]:
    """How many jobs were in hand after every transaction; nothing else queues jobs."""
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
