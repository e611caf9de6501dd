"""A local cloud in a process of its own, also one that trusts another issuer than its own.

    python -m tests.peers.cloud      as `python -m infra.local`, but its settings are the shell's

Settings are read when their module is imported; here that is before the local cloud writes its own
issuer into the environment.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

PROJECT = Path(__file__).parents[2]
STOP_SECONDS = 15


@dataclass(frozen=True)
class Cloud:
    """A running local cloud."""

    url: str
    log: Path  #: what it printed about requests and jobs

    def token(self, **claims: Any) -> str:
        """A token of its own issuer."""
        answer = requests.post(f"{self.url}/_local/token", json=claims, timeout=10)
        return str(answer.json()["token"])

    def users(self, token: str, **headers: str) -> requests.Response:
        """The list of users, as the holder of the token gets it."""
        sent = {"Authorization": f"Bearer {token}", **headers}
        return requests.get(f"{self.url}/admin/v1/users", headers=sent, timeout=30)


@contextmanager
def running(log: Path, **settings: str) -> Iterator[Cloud]:
    """Starts one on a free port and ends it; with settings it takes its issuer from them."""
    module = "tests.peers.cloud" if settings else "infra.local"
    with (
        log.open("w") as written,
        subprocess.Popen(
            [sys.executable, "-m", module, "--port", "0"],
            cwd=PROJECT,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
        ) as process,
    ):
        try:
            yield Cloud(_address(process, log), log)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout
    for line in process.stdout:
        if line.strip().startswith("API "):
            return line.split()[1]
    raise RuntimeError(f"the local cloud did not start:\n{log.read_text()}")


def main() -> int:
    from chalicelib.kernel import settings  # noqa: F401  reads the environment now
    from infra.local.__main__ import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
