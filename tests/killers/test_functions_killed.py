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
FUNCTION = f"backburner-{STAGE}-notify"
END_SECONDS = 150
VISIBILITY_SECONDS = 10
#: Short, so that what a killed function left behind is taken up while the test watches.
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

    def kill_one(self) -> None:
        """Kills a process of the function that sends, at a random moment of its work."""
        (first, *_) = wait_for("worker", lambda: self.processes_of(FUNCTION), 60)
        # Not to await anything: the moment is random, from its cold start to its last mark.
        threading.Event().wait(self.chance.uniform(0, 4))
        for process in self.processes_of(FUNCTION) or [first]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it ended while we looked
        return []


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    install()
    issuer, ministack = Issuer(), Ministack.start()
    try:
        environment = {
            "ISSUER": issuer.url,
            "AUDIENCE": AUDIENCE,
            "JWKS_URL": f"{issuer.url}/jwks",
            "SIGNING_KEYS": "only-for-this-deployment",
            **SETTINGS,
        }
        visible = str(VISIBILITY_SECONDS)
        packed = package(PROJECT, STAGE, tmp_path)
        api_url = deploy(ministack, packed, STAGE, environment, QueueVisibilitySeconds=visible)
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
            deployed.kill_one()
    try:
        wait_for("end of all messages", lambda: _all_ended(deployed), END_SECONDS)
    except TimeoutError as error:
        error.add_note(deployed.ministack.function_logs(40))
        raise

    notifications = _notifications(deployed)
    sent = Counter(mail.to[0] for mail in sent_mails(deployed.ministack))
    assert {each["status"] for each in notifications} <= {"sent", "delivered"}
    assert set(sent) == {f"u{number}@example.com" for number in range(USERS)}
    assert queued(deployed.ministack, f"{FUNCTION}-dead") == []
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
    """Sweeps, too: the schedule's own first time would come after a minute."""
    client = deployed.ministack.client("lambda")
    client.invoke(FunctionName=f"backburner-{STAGE}-sweep", Payload=b"{}")
    found = _notifications(deployed)
    return len(found) == USERS and not {"queued", "sending"} & {each["status"] for each in found}
