"""AWS as a process of its own: ministack, started and stopped by the tests.

    python -m tests.e2e.ministack install      makes .peers/ministack, once per requirements.txt

Its interpreter is its own (its botocore is older than ours) and runs each Lambda function in a
worker process: the zip unpacked into the temporary folder, put first on the path, so the pinned
packages of the zip win over those of the venv. How ministack 1.5.33 behaves, each point tried:

endpoint      A function gets AWS_ENDPOINT_URL of this ministack unless its own environment names
              one, AWS_REGION, and an account id as access key. Everything else in the
              environment of ministack reaches it too, so that is kept bare here.
API           CloudFormation builds the RestApi from Chalice's swagger. It answers under
              /_aws/execute-api/<id>/<stage>/<path>, which the app never hears of, so links in
              answers hold only with its other address: the Host header <id>.execute-api.localhost
              and /<stage>/<path>. An unknown path or method is 403 "Missing Authentication
              Token". MinimumCompressionSize does nothing.
functions     Any exception of a handler, also the authorizer's 401, ends its worker: the next call
              is cold, 2 to 4 s, since the zip is unpacked and compiled anew. On AWS it stays warm.
authorizer    As on AWS: without the header 401 and not asked; a raised Exception("Unauthorized")
              401, any other exception 500, a policy that allows nothing 403. Its answer is kept
              for 300 s by token and stage, and outlives a change of the function's configuration.
SQS           MessageGroupId is taken on standard queues and handed to the function. Mappings poll
              at once, up to five batches at a time, each in a worker of its own; messages of a
              failed batch stay hidden for the queue's visibility timeout, the mapping pauses 1 s.
              FunctionResponseTypes is honoured at creation and by UpdateEventSourceMapping;
              without it, batchItemFailures is ignored and the messages are deleted.
DynamoDB      TransactWriteItems with conditions, CancellationReasons with the old item,
              ClientRequestToken, and ReturnValuesOnConditionCheckFailure of UpdateItem all hold.
              So do conditional updates by BatchExecuteStatement, RETURNING ALL NEW * too.
SES           Only verified senders; an AWS::SES::EmailIdentity is verified when made. EmailTags
              are taken and not listed. A line break in a subject is a bare 500, on AWS a 400.
SNS           SMS are listed with their attributes; any string passes for a number.
schedules     rate(1 minute) first fires some 60 s after creation; invoke the function instead.
AUTH=true     Roles and queue policies are enforced; an account id as access key is root. Our queue
              policy refuses what comes without TLS, so this needs USE_SSL=1: ministack makes a
              certificate with the openssl program and has its workers trust it. What a statement
              of PartiQL is asked for is not what AWS asks for; launch.py corrects that.
stopping      SIGTERM ends ministack alone: its workers end later, by their closed stdin, and their
              folders (43 MB each) stay. Hence the process group and a TMPDIR of its own.
"""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import boto3
import urllib3

ACCOUNT = "123456789012"
REGION = "eu-central-1"
HOST = "localhost"  #: names of APIs end with it; the socket itself is of 127.0.0.1
HOME = Path(__file__).parents[2] / ".peers" / "ministack"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
LAUNCHER = Path(__file__).with_name("launch.py")
START_SECONDS = 20
STOP_SECONDS = 3  #: for its workers, which have nothing to save; then they are killed

T = TypeVar("T")


@dataclass(frozen=True)
class Mail:
    """One mail as SES took it."""

    sender: str
    to: list[str]
    subject: str
    text: str
    html: str


def install() -> None:
    """Makes the venv unless it already holds exactly what requirements.txt names."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = HOME / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
    pip = [str(HOME / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted)


def wait_for(what: str, check: Callable[[], T | None], seconds: float) -> T:
    """The first true answer of `check`. Raises TimeoutError that names what did not come."""
    deadline = time.monotonic() + seconds
    while True:
        if found := check():
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {seconds:g} s")
        time.sleep(0.05)


class Ministack:
    """A running ministack and everything it started."""

    def __init__(self, process: subprocess.Popen[bytes], endpoint_url: str, home: Path) -> None:
        self.endpoint_url = endpoint_url
        self._process = process
        self._home = home
        self.certificate = str(home / "ministack-tls" / "server.crt")
        self._pool: urllib3.PoolManager | None = None

    @classmethod
    def start(cls, *, auth: bool = False) -> Self:
        """A new one on a free port of 127.0.0.1. `auth`: TLS, and every role's policy enforced."""
        home = Path(tempfile.mkdtemp(prefix="ministack-"))
        port = _free_port()
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [HOME / "bin" / "python", "-P", LAUNCHER],  # -P: of two ministacks, not ours
                cwd=home,
                env=_environment(home, port, auth=auth),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = cls(process, f"{'https' if auth else 'http'}://127.0.0.1:{port}", home)
        try:
            wait_for("answer from ministack", started._answers, START_SECONDS)
        except Exception as error:
            error.add_note(started.log())
            started.stop()
            raise
        return started

    def _answers(self) -> bool:
        if self._process.poll() is not None:  # for example because another took the port
            raise RuntimeError(f"ministack ended with {self._process.returncode}")
        try:
            return self.request("GET", f"{self.endpoint_url}/_ministack/health").status == 200
        except (urllib3.exceptions.HTTPError, OSError):  # OSError: no certificate yet
            return False

    def stop(self) -> None:
        """Ends ministack and its workers and removes their files. Safe to call twice."""
        for end in (signal.SIGTERM, signal.SIGKILL):
            if not self.processes():
                break
            os.killpg(self._process.pid, end)
            try:
                wait_for("end of ministack", lambda: not self.processes(), STOP_SECONDS)
            except TimeoutError:
                continue
        self._process.wait(STOP_SECONDS)
        if self._process.stdin:
            self._process.stdin.close()
        # Every worker unpacks its package: for tens of thousands of files rm is the quicker one.
        subprocess.run(["rm", "-rf", str(self._home)], check=True)

    def processes(self) -> list[int]:
        """Ids of what still runs in its process group: itself and its workers."""
        return list(_members(self._process.pid))

    def log(self, lines: int = 80) -> str:
        """The end of what it printed; what functions print is in `function_logs`."""
        text = (self._home / "log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def function_logs(self, lines: int = 80) -> str:
        """The end of what every function printed, by function."""
        logs = self.client("logs")
        parts = []
        for group in logs.describe_log_groups()["logGroups"]:
            name = group["logGroupName"]
            events = logs.filter_log_events(logGroupName=name)["events"]
            parts += [f"--- {name}", *(event["message"].rstrip() for event in events[-lines:])]
        return "\n".join(parts)

    def api_url(self, api_id: str) -> str:
        """The address of an API as the app behind it sees it; to be called by `request`."""
        scheme, _, port = self.endpoint_url.split(":")
        return f"{scheme}://{api_id}.execute-api.{HOST}:{port}"

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **how: Any
    ) -> urllib3.BaseHTTPResponse:
        """Calls an address of this ministack once, whether or not its name can be resolved."""
        parts = urlsplit(url)
        path = urlunsplit(("", "", parts.path, parts.query, ""))
        sent = {**(headers or {}), "Host": parts.netloc}
        return self._connections.request(method, self.endpoint_url + path, headers=sent, **how)

    @property
    def _connections(self) -> urllib3.PoolManager:
        if self._pool is None:
            tls = self.certificate if self.endpoint_url.startswith("https") else None
            self._pool = urllib3.PoolManager(retries=False, timeout=60, ca_certs=tls)
        return self._pool

    def pass_on(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse:
        """A call of AWS's API as somebody else made it."""
        url = self.endpoint_url + path
        return self._connections.request(method, url, headers=headers, body=body)

    def client(self, service: str, **how: Any) -> Any:
        """A client of this ministack, as the account's root."""
        return boto3.Session().client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            verify=self.certificate,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="test",
            **how,
        )

    def read(self, path: str) -> Any:
        """The JSON behind one of ministack's own addresses."""
        return self.request("GET", f"{self.endpoint_url}/_ministack/{path}").json()


def sent_mails(ministack: Ministack) -> list[Mail]:
    """Every mail that SES took, oldest first."""
    listed = ministack.read("ses/messages")["messages"].get(ACCOUNT, [])
    return [
        Mail(one["Source"], one["To"], one["Subject"], one["BodyText"], one["BodyHtml"] or "")
        for one in listed
    ]


def queued(ministack: Ministack, queue: str) -> list[dict[str, Any]]:
    """What lies in a queue, hidden messages too; looking receives nothing."""
    queues = ministack.read("sqs/messages")["messages"][ACCOUNT][REGION]
    return [
        one for url, messages in queues.items() if url.endswith(f"/{queue}") for one in messages
    ]


def _environment(home: Path, port: int, *, auth: bool) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "STATE_DIR": str(home / "state"),
        "S3_DATA_DIR": str(home / "s3"),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",  # it would listen on 0.0.0.0:8883
        "SFTP_ENABLED": "0",
        "AUTH": str(auth).lower(),
        "USE_SSL": str(auth).lower(),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _members(group: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended while we looked
            continue
        if int(its_group) == group and state not in "ZX":  # not one that only waits to be reaped
            yield int(stat.parent.name)


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python -m tests.e2e.ministack install")
    install()
