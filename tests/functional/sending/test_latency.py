"""From accepted to sent with workers running: the whole system in a process of its own."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[3]
WARM_UP = 3
DEADLINE_SECONDS = 30


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where a local cloud of its own answers."""
    command = [sys.executable, "-m", "infra.local", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.split()[:1] == ["API"])
        reader = threading.Thread(target=process.stdout.read, daemon=True)
        reader.start()
        yield line.split()[1]
        process.terminate()
        reader.join()
    assert process.returncode == 0


@pytest.mark.local
@pytest.mark.parametrize("users", [20, pytest.param(40, marks=pytest.mark.thorough)])
def test_nineteen_of_twenty_invitations_are_sent_within_a_second(url: str, users: int) -> None:
    session = requests.Session()
    claims = {"role": "manager", "tenant_id": "t1", "sub": "latency"}
    token = session.post(f"{url}/_local/token", json=claims, timeout=10).json()["token"]
    session.headers["Authorization"] = f"Bearer {token}"

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
    until = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < until:
        sent: list[dict[str, str]] = session.get(f"{url}/_local/outbox", timeout=10).json()
        if len(sent) >= count:
            return sent
    raise AssertionError(f"{count} messages were not sent in {DEADLINE_SECONDS} s")
