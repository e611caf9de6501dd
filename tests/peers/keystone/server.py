"""OpenStack's Keystone as a process: started, stopped for a while, killed, and asked what it has.

Installing makes a venv and one empty, bootstrapped state; each run has a copy of it.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from chalicelib.projects.gateway import Region

HERE = Path(__file__).parent
ACCOUNT = "Default"  #: its first domain
USERNAME = "admin"
PASSWORD = "s3cret"
REGION = "region-a"
STOP_SECONDS = 10
KEYS = ("fernet", "receipts", "credential")
#: `ec2credential`, or requests signed with a credential are answered with 503.
CONFIG = """
[database]
connection = sqlite:///{home}/keystone.db
[token]
expiration = 14400
caching = false
cache_on_issue = false
[revoke]
caching = false
[fernet_tokens]
key_repository = {home}/fernet
[fernet_receipts]
key_repository = {home}/receipts
[credential]
key_repository = {home}/credential
[identity]
password_hash_rounds = 4
[auth]
methods = password,token,application_credential,totp{methods}
[cache]
enabled = true
backend = dogpile.cache.memory
"""


def make(home: Path, lists: list[Path]) -> None:
    """A venv with Keystone in `home`, and an empty state."""
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
    pip = [str(home / "venv/bin/python"), "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "-r", str(*lists)], check=True)
    state = home / "state"
    _configure(state)
    owner = ["--keystone-user", str(os.geteuid()), "--keystone-group", str(os.getegid())]
    _manage(home, state, "db_sync")
    for each in ("fernet_setup", "receipt_setup", "credential_setup"):
        _manage(home, state, each, *owner)
    _manage(home, state, "bootstrap", "--bootstrap-password", PASSWORD, *_region())


def _region() -> list[str]:
    kinds = ("public", "internal", "admin")
    urls = [part for kind in kinds for part in (f"--bootstrap-{kind}-url", "http://127.0.0.1/v3/")]
    return ["--bootstrap-region-id", REGION, *urls]


def _configure(state: Path, methods: str = ",ec2credential") -> None:
    (state / "etc").mkdir(parents=True, exist_ok=True)
    for each in KEYS:
        (state / each).mkdir(mode=0o700, exist_ok=True)
    (state / "etc/keystone.conf").write_text(CONFIG.format(home=state, methods=methods))


def _environment(state: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "OS_KEYSTONE_CONFIG_FILES": str(state / "etc/keystone.conf"),
        "OS_KEYSTONE_CONFIG_DIR": str(state / "etc"),
        "PYTHONWARNINGS": "ignore",
    }


def _manage(home: Path, state: Path, *words: str) -> None:
    command = [home / "venv/bin/keystone-manage", "--config-file", state / "etc/keystone.conf"]
    done = subprocess.run(
        [*command, *words],
        env=_environment(state),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"keystone-manage {words[0]}:\n{done.stderr}")


class Keystone:
    """A Keystone with its own state, at one port from its first start on."""

    def __init__(self, home: Path, state: Path) -> None:
        self._home, self._state = home, state
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._telling: threading.Thread | None = None
        self._token = ""
        self._requests: list[str] = []
        self._news = threading.Condition()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}/v3"

    def region(self, account: str = ACCOUNT, **others: str) -> Region:
        """As whom we speak to it."""
        who = {"username": USERNAME, "password": PASSWORD, **others}
        return Region("openstack", REGION, self.address, account, **who)

    def start(self) -> None:
        """Returns when it listens; again at the same port."""
        log = (self._state / "log").open("a")
        with log:
            self._process = subprocess.Popen(
                [self._home / "venv/bin/python", HERE / "serve.py", str(self._port)],
                env=_environment(self._state),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout
        first = self._process.stdout.readline()
        if not first:
            self._process.communicate(timeout=STOP_SECONDS)
            raise RuntimeError(f"Keystone did not start:\n{(self._state / 'log').read_text()}")
        self._port = int(first)
        self._telling = threading.Thread(target=self._tell, args=[self._process.stdout])
        self._telling.start()

    def _tell(self, lines: Any) -> None:
        for line in lines:
            if " /v3" in line[:12]:  # it logs to the same place
                with self._news:
                    self._requests.append(line.strip())
                    self._news.notify_all()

    def pause(self) -> None:
        """It takes connections and says nothing, until `resume`."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """At once, whatever it is doing; `start` brings it back with what it had saved."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(STOP_SECONDS)
        assert self._telling
        assert self._process.stdout
        self._telling.join(STOP_SECONDS)
        self._process.stdout.close()
        self._process = None

    def asked(self) -> list[str]:
        """What it was asked up to now, as `GET /v3/users 200`."""
        last = f"GET /v3/last-{len(self._requests)} 404"
        requests.get(self.address + last.split()[1].removeprefix("/v3"), timeout=30)
        with self._news:
            assert self._news.wait_for(lambda: last in self._requests, STOP_SECONDS)
            return [each for each in self._requests if "/v3/last-" not in each]

    def logins(self) -> int:
        """How often somebody logged in."""
        return sum(each.startswith("POST /v3/auth/tokens") for each in self.asked())

    def forget_requests(self) -> None:
        self._look_token()  # not among those that are counted from here on
        self.asked()
        self._requests.clear()

    def look(self, path: str) -> Any:
        """What it has, as its own administrator sees it."""
        return self.ask("GET", path).json()

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        answer = requests.request(
            method,
            self.address + path,
            json=body,
            headers={"X-Auth-Token": self._look_token()},
            timeout=30,
        )
        assert answer.ok, answer.text
        return answer

    def _look_token(self) -> str:
        if not self._token:
            user = {"name": USERNAME, "domain": {"id": "default"}, "password": PASSWORD}
            identity = {"methods": ["password"], "password": {"user": user}}
            auth = {"identity": identity, "scope": {"system": {"all": True}}}
            answer = requests.post(f"{self.address}/auth/tokens", json={"auth": auth}, timeout=30)
            self._token = answer.headers["X-Subject-Token"]
        return self._token

    def named(self, path: str, kind: str) -> dict[str, str]:
        """Ids by name of what is listed there."""
        return {each["name"]: each["id"] for each in self.look(path)[kind]}


@contextmanager
def running(home: Path, state: Path, methods: str = ",ec2credential") -> Iterator[Keystone]:
    """Starts a Keystone with an empty state of its own, and ends it. `home` is where it was
    installed, `state` a folder that is not there yet.
    """
    shutil.copytree(home / "state", state)
    for each in KEYS:
        (state / each).chmod(0o700)
    _configure(state, methods)
    keystone = Keystone(home, state)
    keystone.start()
    try:
        yield keystone
    finally:
        keystone.kill()
