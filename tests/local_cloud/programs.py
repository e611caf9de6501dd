"""Programs of the project, run as a person would run them."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[2]
PATIENCE = 30  # seconds; the time limit of every wait
POLL_SECONDS = 0.05


def until(condition: Callable[[], object], what: str = "") -> None:
    """Returns as soon as the condition is true; polls, since it is about another process."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(what or condition.__doc__ or "it did not happen")
        time.sleep(POLL_SECONDS)


class Program:
    """A running program and what it has printed so far."""

    def __init__(self, command: list[str], cwd: Path = ROOT, **environment: str) -> None:
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            # A shell lets what it starts in the background ignore Ctrl-C, and children inherit it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._printed: list[str] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._printed.append(line)
                self._changed.notify_all()

    @property
    def output(self) -> str:
        return "".join(self._printed)

    def until_printed(self, pattern: str) -> re.Match[str]:
        with self._changed:
            match = self._changed.wait_for(
                lambda: re.search(pattern, self.output) or self._process.poll() is not None,
                PATIENCE,
            )
        assert isinstance(match, re.Match), f"{pattern!r} is not in:\n{self.output}"
        return match

    def end(self, number: int = signal.SIGINT) -> int:
        """Sends the signal; the exit code."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        """Ends the program, whether it still runs or not."""
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass(frozen=True)
class Cloud:
    """A local cloud in a process of its own."""

    program: Program
    url: str
    endpoint_url: str
    token: str  #: of a manager of t1

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        return requests.request(method, self.url + path, json=body, headers=sent, timeout=PATIENCE)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/_local{path}", json=body, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create_user(self, email: str, **values: Any) -> requests.Response:
        body = {"name": "Ann Example", "email": email, "role": "staff", **values}
        return self.send("POST", "/admin/v1/users", body)

    def outbox(self) -> list[dict[str, Any]]:
        return list(self.control("GET", "/outbox"))

    def recipients(self) -> set[str]:
        return {message["to"] for message in self.outbox()}

    def until_idle(self) -> None:
        until(lambda: self.control("GET", "/state")["idle"], "idle")

    @property
    def curl(self) -> str:
        """The command of the greeting."""
        return self.program.until_printed(r"curl (?s:.)*?-d '.*'\n")[0]

    @property
    def worker_command(self) -> str:
        return self.program.until_printed(r"\S+ -m infra\.local\.worker .*\n")[0].strip()


def run(module: str, *arguments: str, **environment: str) -> Program:
    return Program([sys.executable, "-m", module, *arguments], **environment)


def cloud_of(program: Program) -> Cloud:
    """The local cloud of a program, once it has printed its greeting."""
    program.until_printed(r"-d '.*'\n")
    api = program.until_printed(r"API +(http\S+)")[1]
    endpoint = program.until_printed(r"AWS endpoint +(http\S+)")[1]
    token = program.until_printed(r"Bearer ([^']+)")[1]
    return Cloud(program, api, endpoint, token)


def problem_of(answer: requests.Response) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return dict(json.loads(answer.content))
