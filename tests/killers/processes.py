"""A local cloud and its workers as processes of their own, so that they can be killed."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.e2e.ministack import wait_for

PROJECT = Path(__file__).parents[2]
START_SECONDS = 60
LEASE_SECONDS = 2
VISIBILITY_SECONDS = 6
#: Short, so that what a killed worker left behind is taken up while the test watches.
SETTINGS = {"CONFIRM_SECONDS": "4", "PUSH_GRACE_SECONDS": "2"}


class Process:
    """A Python module that runs, and what it printed."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=PROJECT,
                env={**os.environ, **SETTINGS},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def printed(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Returns when the pattern was printed. Raises RuntimeError when the process ended."""

        def found() -> re.Match[str] | None:
            if self._process.poll() is not None:
                raise RuntimeError(f"ended with {self._process.returncode}:\n{self.printed()}")
            return re.search(pattern, self.printed())

        return wait_for(pattern, found, START_SECONDS)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(how)
        self._process.wait(START_SECONDS)


class Cloud:
    """A local cloud whose queues nobody works, with the API and `/_local` as its users see them."""

    def __init__(self, process: Process) -> None:
        greeting = process.wait_for(r"API +(http\S+)(?s:.*)AWS endpoint (http\S+)")
        self.url, self.endpoint_url = greeting[1], greeting[2]
        self._session = requests.Session()
        self._token = self.call("POST", "/_local/token", {"role": "manager", "tenant_id": "t1"})
        self._session.headers["Authorization"] = f"Bearer {self._token['token']}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, self.url + path, json=body, timeout=30)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def listed(self, path: str) -> Iterator[dict[str, Any]]:
        """All records of a list, page by page."""
        cursor = ""
        while cursor is not None:
            page = self.call("GET", f"{path}?per_page=100{cursor and f'&cursor={cursor}'}")
            yield from page["data"]
            cursor = page["meta"]["next_cursor"]

    def idle(self) -> bool:
        return bool(self.call("GET", "/_local/state")["idle"])

    def dead(self) -> int:
        queues = self.call("GET", "/_local/state")["queues"]
        return sum(int(queue["dead"]) for queue in queues.values())


@contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """A local cloud with short leases, ended afterwards."""
    process = Process(
        folder / "cloud.log",
        *["infra.local", "--no-worker", "--port", "0", "--sweep-seconds", "2"],
        *["--lease-seconds", str(LEASE_SECONDS)],
        *["--visibility-seconds", str(VISIBILITY_SECONDS)],
    )
    try:
        yield Cloud(process)
    finally:
        process.end()


def worker(cloud: Cloud, log: Path) -> Process:
    """A worker that has begun to poll."""
    lease = ["--lease-seconds", str(LEASE_SECONDS)]
    started = Process(log, "infra.local.worker", cloud.endpoint_url, cloud.url, *lease)
    started.wait_for("Working")
    return started


class Killer(threading.Thread):
    """Starts a worker, lets it work for a random while, kills it with -9, and starts the next."""

    def __init__(self, cloud: Cloud, folder: Path, seed: str, kills: int) -> None:
        super().__init__(name=f"killer-{seed}", daemon=True)
        self._cloud, self._folder, self._kills = cloud, folder, kills
        self._random = random.Random(seed)
        self.killed = 0

    def run(self) -> None:
        while self.killed < self._kills:
            started = worker(self._cloud, self._folder / f"{self.name}-{self.killed}.log")
            # Not to await anything: the moment is random, down to the middle of a call.
            threading.Event().wait(self._random.uniform(0.05, 1.5))
            started.end(signal.SIGKILL)
            self.killed += 1
