"""Worker processes killed with -9 at random moments: nothing is lost, and repeats are counted."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.ministack import wait_for
from tests.killers.processes import Cloud, Killer, cloud, worker

USERS = 500
KILLS = 50
EVERY_WITH_PHONE = 5  #: every fifth user gets an SMS too, of which no event ever tells
AT_ONCE = 2  #: workers that live at a time
SEED = "backburner"
END_SECONDS = 150
pytestmark = [pytest.mark.killers, pytest.mark.local]


def ambiguous(job: dict[str, Any]) -> int:
    """Attempts of which nobody knew whether they had sent: counted in the job's own history."""
    return sum(entry["outcome"] in ("lost", "unconfirmed") for entry in job["history"])


def test_of_500_users_none_goes_uninvited_though_their_workers_are_killed_50_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cloud(tmp_path) as local:
        killers = [
            Killer(local, tmp_path, f"{SEED}-{number}", KILLS // AT_ONCE)
            for number in range(AT_ONCE)
        ]
        for killer in killers:
            killer.start()
        _create_users_while(killers, local)
        for killer in killers:
            killer.join()
        assert sum(killer.killed for killer in killers) == KILLS

        last = [worker(local, tmp_path / f"last-{number}.log") for number in range(AT_ONCE)]
        try:
            wait_for("end of all messages", lambda: _all_ended(local), END_SECONDS)
        finally:
            for process in last:
                process.end()
        with capsys.disabled():
            sys.stdout.write(f"\n{_assert_nothing_lost_and_repeats_counted(local)}\n")


def _create_users_while(killers: list[Killer], local: Cloud) -> None:
    """Creates them in step with the kills, so that there is always something to be killed at."""
    for number in range(USERS):
        body = {
            "name": f"User {number}",
            "email": f"u{number}@example.com",
            "role": "staff",
        }
        if number % EVERY_WITH_PHONE == 0:
            body["phone"] = f"+4915112{number:06}"
        local.call("POST", "/admin/v1/users", body)
        due = number * KILLS // USERS
        wait_for("kill", lambda due=due: sum(k.killed for k in killers) >= due - AT_ONCE, 60)


def _all_ended(local: Cloud) -> bool:
    if not local.idle():  # seen at a glance; the list is long
        return False
    open_ = {"queued", "sending"}
    return not any(each["status"] in open_ for each in local.listed("/admin/v1/notifications"))


def _assert_nothing_lost_and_repeats_counted(local: Cloud) -> str:
    """Checks the inbox against the ledger; the figures as a sentence."""
    sent = Counter(mail["job_id"] for mail in local.call("GET", "/_local/outbox"))
    notifications = list(local.listed("/admin/v1/notifications"))
    assert len(notifications) == USERS + USERS // EVERY_WITH_PHONE
    assert {each["status"] for each in notifications} <= {"sent", "delivered"}
    assert set(sent) == {each["id"] for each in notifications}
    assert local.dead() == 0

    windows, repeated = 0, Counter[str]()
    for each in notifications:
        tried_again = each["attempts"] > 1 or each["error"] or sent[each["id"]] > 1
        job = local.call("GET", f"/admin/v1/jobs/{each['id']}")["data"] if tried_again else None
        counted = ambiguous(job) if job else 0
        assert sent[each["id"]] - 1 <= counted, job
        windows += counted
        repeated[each["channel"]] += sent[each["id"]] - 1
    return (
        f"killers: {KILLS} kills, {USERS} users, {len(notifications)} messages, 0 lost; "
        f"{windows} attempts ended without a result, "
        f"{repeated['email']} mails and {repeated['sms']} SMS were sent a second time"
    )
