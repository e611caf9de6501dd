"""From accepted to sent with workers running: the whole system in a process of its own."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest
import requests

from tests.functional.another_process import outbox, serving, sign_in, wait_until

WARM_UP = 3


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where a local cloud of its own answers."""
    with serving() as address:
        yield address


@pytest.mark.local
@pytest.mark.parametrize("users", [20, pytest.param(40, marks=pytest.mark.thorough)])
def test_nineteen_of_twenty_invitations_are_sent_within_a_second(url: str, users: int) -> None:
    session = sign_in(url, "t1")
    accepted = {}
    for number in range(WARM_UP + users):
        email = f"u{number}@example.com"
        user = {"name": "Ann", "email": email, "phone": f"+491511234{number:04}", "role": "staff"}
        answer = session.post(f"{url}/admin/v1/users", json=user, timeout=10)
        assert answer.status_code == 201
        accepted[email] = accepted[user["phone"]] = time.time()
        if number < WARM_UP:
            wait_for(session, url, 2 * (number + 1))

    sent = wait_for(session, url, 2 * (WARM_UP + users))
    seconds = sorted(
        datetime.fromisoformat(message["at"]).timestamp() - accepted[message["to"]]
        for message in sent[2 * WARM_UP :]
    )
    assert len(seconds) == 2 * users
    assert seconds[int(len(seconds) * 0.95)] < 1


def wait_for(session: requests.Session, url: str, count: int) -> list[dict[str, str]]:
    """All messages once there are this many."""
    wait_until(lambda: len(outbox(session, url)) >= count, f"{count} messages")
    return outbox(session, url)
