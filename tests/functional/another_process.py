"""A local cloud in a process of its own, with its workers running in real time."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30


@contextmanager
def serving(**environment: str) -> Iterator[str]:
    """Where it answers."""
    command = [sys.executable, "-m", "infra.local", "--port", "0"]
    environ = {**os.environ, **environment}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.split()[:1] == ["API"])
        reader = threading.Thread(target=process.stdout.read, daemon=True)
        reader.start()
        yield line.split()[1]
        process.terminate()
        reader.join()
    assert process.returncode == 0


def sign_in(url: str, tenant: str) -> requests.Session:
    """A manager of the tenant."""
    session = requests.Session()
    claims = {"role": "manager", "tenant_id": tenant, "sub": f"manager-of-{tenant}"}
    token = session.post(f"{url}/_local/token", json=claims, timeout=10).json()["token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return session


def outbox(session: requests.Session, url: str, **only: str) -> list[dict[str, str]]:
    """The messages that were sent, such as `to="ann@example.com"`."""
    sent: list[dict[str, str]] = session.get(f"{url}/_local/outbox", params=only, timeout=10).json()
    return sent


def wait_until(condition: Callable[[], bool], what: str) -> float:
    """The seconds after which it held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + DEADLINE_SECONDS, f"no {what} in {DEADLINE_SECONDS} s"
        time.sleep(0.02)
    return time.monotonic() - began
