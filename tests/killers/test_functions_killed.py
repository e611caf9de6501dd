"""The packaged functions under ministack, killed with -9 while they work."""

import os
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import AUDIENCE, STAGE, TENANT, Issuer
from tests.e2e.ministack import Ministack, install, queued, sent_mails, wait_for
from tests.e2e.package import PROJECT, deploy, package
from tests.killers.test_workers_killed import ambiguous

USERS = 30
KILLS = 10
SEED = "backburner"
#: What the functions' names begin with; CloudFormation adds an end of its own.
SENDER, SWEEP = f"backburner-{STAGE}-Notify-", f"backburner-{STAGE}-Sweep-"
END_SECONDS = 150
#: Short, so that the sweep takes up what a killed function left behind while the test watches: its
#: messages stay hidden for six minutes.
SETTINGS = {"LEASE_SECONDS": "5", "CONFIRM_SECONDS": "4", "PUSH_GRACE_SECONDS": "5"}
pytestmark = [pytest.mark.killers, pytest.mark.local]


@dataclass(frozen=True)
class Deployed:
    """The project in its cloud, and somebody who may use it."""

    api_url: str
    ministack: Ministack
    issuer: Issuer
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.issuer.token()}"}
        url = self.api_url + path
        answer = self.ministack.request(method, url, json=body, headers=headers)
        assert answer.status < 300, answer.data
        return answer.json()

    def processes_of(self, function: str) -> list[int]:
        """The worker processes that ministack has started for a function."""
        wanted = f"AWS_LAMBDA_FUNCTION_NAME={function}".encode()
        return [pid for pid in self.ministack.processes() if wanted in _environment(pid)]

    def sweep(self) -> None:
        """What the schedule does each minute, for the first time after one."""
        client = self.ministack.client("lambda")
        names = [each["FunctionName"] for each in client.list_functions()["Functions"]]
        (sweep,) = (name for name in names if name.startswith(SWEEP))
        client.invoke(FunctionName=sweep, Payload=b"{}")

    def jobs(self) -> list[str]:
        """The status of every job, seen past the app."""
        answer = self.ministack.client("dynamodb").query(
            TableName=f"backburner-{STAGE}-kernel",
            KeyConditionExpression="tenant = :t AND begins_with(sk, :k)",
            ExpressionAttributeValues={":t": {"S": TENANT}, ":k": {"S": "job#"}},
        )
        return [item["status"]["S"] for item in answer["Items"]]

    def kill(self) -> None:
        """Ends the function's processes at a random moment after one has claimed a job."""
        wait_for("claim", lambda: "running" in self.jobs() or "queued" not in self.jobs(), 60)
        # Not to await anything: the moment is random, down to the middle of a call.
        threading.Event().wait(self.chance.uniform(0, 0.2))
        for process in self.processes_of(SENDER):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:  # it ended by itself
                continue


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it ended while we looked
        return b""


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    install()
    issuer, ministack = Issuer(), Ministack.start()
    try:
        environment = {
            "ISSUER": issuer.url,
            "AUDIENCE": AUDIENCE,
            "UNKNOWN_SUBJECTS": "report",  # the test's caller is no user
            "JWKS_URL": f"{issuer.url}/jwks",
            **SETTINGS,
        }
        ministack.client("ssm").put_parameter(
            Name=f"/backburner/{STAGE}/signing-keys", Value="of-this-test-only", Type="SecureString"
        )
        packed = package(PROJECT, STAGE, tmp_path)
        api_url = deploy(ministack, packed, STAGE, environment)
        row = {"tenant": "#tenants", "sk": TENANT, "name": "Acme", "status": "active", "sender": ""}
        ministack.client("dynamodb").put_item(
            TableName=f"backburner-{STAGE}-kernel",
            Item={name: {"S": value} for name, value in row.items()},
        )
        yield Deployed(api_url, ministack, issuer)
    finally:
        ministack.stop()
        issuer.stop()


def test_of_30_users_none_goes_uninvited_though_the_function_is_killed_10_times(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(USERS):
        user = {"name": "Ann", "email": f"u{number}@example.com", "role": "staff"}
        deployed.call("POST", "/admin/v1/users", user)
        if number % (USERS // KILLS) == 0:
            deployed.kill()
    try:
        wait_for("end of all messages", lambda: _all_ended(deployed), END_SECONDS)
    except TimeoutError as error:
        error.add_note(deployed.ministack.function_logs(40))
        raise

    notifications = _notifications(deployed)
    sent = Counter(mail.to[0] for mail in sent_mails(deployed.ministack))
    assert {each["status"] for each in notifications} <= {"sent", "delivered"}
    assert set(sent) == {f"u{number}@example.com" for number in range(USERS)}
    assert queued(deployed.ministack, f"backburner-{STAGE}-notify-dead") == []
    windows = 0
    for each in notifications:
        job = deployed.call("GET", f"/admin/v1/jobs/{each['id']}")["data"]
        assert sent[each["recipient"]] - 1 <= ambiguous(job), job
        windows += ambiguous(job)
    with capsys.disabled():
        sys.stdout.write(
            f"\nkillers: {KILLS} kills of the function, {USERS} users, 0 lost; {windows} attempts "
            f"ended without a result, {sum(sent.values()) - USERS} mails were sent a second time\n"
        )


def _notifications(deployed: Deployed) -> list[dict[str, Any]]:
    return list(deployed.call("GET", "/admin/v1/notifications?per_page=100")["data"])


def _all_ended(deployed: Deployed) -> bool:
    deployed.sweep()
    found = _notifications(deployed)
    return len(found) == USERS and not {"queued", "sending"} & {each["status"] for each in found}
