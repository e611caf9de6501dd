"""A stage goes from the release before to this one, and back, with its data and waiting jobs.

One ministack and one API all the way: the release before, this one over it, the release before
again. Queues rest while jobs are to wait, as in an outage; their mappings are switched off.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import Deployment, Issuer, as_deployed, make_tenant, run_deploy
from .ministack import Ministack, install, sent_mails, wait_for
from .missing import Missing
from .releases import BEFORE, checked_out

KEY = {"Idempotency-Key": "one-invitation"}
ANN = {"name": "Ann", "email": "ann@example.com", "role": "staff"}
JOB_SECONDS = 90


@dataclass(frozen=True)
class Written:
    """What one release has left behind, as it answered."""

    user: dict[str, Any]  #: invited, and the mail waits in a queue
    batch_id: str  #: an import that waits in a queue
    project: dict[str, Any]  #: whose workflow waits in a queue


class Upgrading:
    """One stage, whichever release it runs."""

    def __init__(self, ministack: Ministack, proxy: Missing, issuer: Issuer) -> None:
        self.ministack, self._proxy, self._issuer = ministack, proxy, issuer
        self.running: Deployment

    def deploy(self, **how: Path) -> None:
        done = run_deploy(self._proxy, self._issuer, "--no-doctor", **how)
        self.running = as_deployed(done, self.ministack, self._issuer)

    def go_back_to(self, release: Path) -> None:
        """As docs/operate.md says: its template by this release's command, then itself."""
        done = run_deploy(self._proxy, self._issuer, "--template-of", str(release))
        assert done.returncode == 0, done.stdout + done.stderr
        self.deploy(project=release)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        token = self._issuer.token()
        return self.running.call(method, path, body, token=token, headers=headers)

    def read(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, answer.data
        return answer.json()["data"]

    def rest(self, *, at_rest: bool) -> None:
        """Lets the queues' messages wait, or be worked again."""
        client = self.ministack.client("lambda")
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=not at_rest)

    def invite(self, person: dict[str, str], **headers: str) -> Any:
        answer = self.call("POST", "/admin/v1/users", person, **headers)
        assert answer.status == 201, answer.data
        return answer

    def leave_work(self, name: str) -> Written:
        """One of each kind of work, which nobody does as long as the queues rest."""
        person = {"name": name, "email": f"{name}@example.com", "role": "staff"}
        user = self.invite(person).json()["data"]["user"]
        body = {"name": f"Project of {name}", "user_ids": [user["id"]]}
        project = self.call("POST", "/admin/v1/projects", body)
        assert project.status == 201, project.data
        rows = f"name,email,role\nRow,row-of-{name}@example.com,staff\n"
        imported = self.running.ministack.request(
            "POST",
            f"{self.running.api_url}/admin/v1/users/import",
            body=rows,
            headers={
                "Authorization": f"Bearer {self._issuer.token()}",
                "Content-Type": "text/csv",
            },
        )
        assert imported.status == 202, imported.data
        return Written(user, imported.json()["data"]["batch_id"], project.json()["data"])

    def mail_to(self, email: str) -> str | None:
        """The text of the last mail to this address."""
        texts = [mail.text for mail in sent_mails(self.ministack) if email in mail.to]
        return texts[-1] if texts else None

    def worked_off(self, left: Written) -> dict[str, Any]:
        """What became of the work, once it is done."""
        email = left.user["email"]
        wait_for(f"mail to {email}", lambda: self.mail_to(email), JOB_SECONDS)

        def batch() -> Any:
            now = self.read(f"/v1/batches/{left.batch_id}")
            return now if now["done"] == now["total"] else None

        def project() -> Any:
            now = self.read(f"/admin/v1/projects/{left.project['id']}/status")
            return now if now["status"] in ("active", "failed") else None

        return {
            "batch": wait_for("end of the import", batch, JOB_SECONDS),
            "project": wait_for("end of the workflow", project, JOB_SECONDS),
        }

    def lists(self) -> dict[str, dict[str, Any]]:
        """All that the lists show, by id."""
        return {
            name: {each["id"]: each for each in self.read(f"/admin/v1/{name}?per_page=100")}
            for name in ("users", "jobs", "projects")
        }

    def table_ids(self) -> dict[str, Any]:
        dynamodb = self.ministack.client("dynamodb")
        return {
            name: dynamodb.describe_table(TableName=name)["Table"]["TableId"]
            for name in dynamodb.list_tables()["TableNames"]
        }


@pytest.fixture(scope="module")
def stage(issuer: Issuer) -> Iterator[Upgrading]:
    install()
    ministack = Ministack.start()
    proxy = Missing(ministack)
    try:
        yield Upgrading(ministack, proxy, issuer)
    finally:
        proxy.stop()
        ministack.stop()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before, as a folder."""
    return checked_out(BEFORE, tmp_path_factory.mktemp("before"))


@dataclass(frozen=True)
class Left:
    """What was there when a release gave way to the next."""

    work: Written
    lists: dict[str, dict[str, Any]]
    tables: dict[str, Any]
    first_answer: Any  #: to the request with KEY


@pytest.fixture(scope="module")
def by_the_release_before(stage: Upgrading, before: Path) -> Left:
    stage.deploy(project=before)
    make_tenant(stage.ministack)
    first = stage.invite(ANN, **KEY)
    wait_for("mail to Ann", lambda: stage.mail_to(ANN["email"]), JOB_SECONDS)
    stage.rest(at_rest=True)
    work = stage.leave_work("bea")
    return Left(work, stage.lists(), stage.table_ids(), first.json())


@pytest.fixture(scope="module")
def upgraded(stage: Upgrading, by_the_release_before: Left) -> Left:
    stage.deploy()
    return by_the_release_before


def test_the_tables_of_the_release_before_are_kept_and_their_rows_are_read(
    stage: Upgrading, upgraded: Left
) -> None:
    now = stage.table_ids()
    assert {name: now.get(name) for name in upgraded.tables} == upgraded.tables
    for name, rows in stage.lists().items():
        assert rows.keys() == upgraded.lists[name].keys(), name
        for row_id, row in upgraded.lists[name].items():
            assert rows[row_id].items() >= _lasting(row).items()


def test_its_idempotency_key_replays_its_answer(stage: Upgrading, upgraded: Left) -> None:
    again = stage.invite(ANN, **KEY)

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == upgraded.first_answer


def test_its_open_invitation_can_be_accepted(stage: Upgrading, upgraded: Left) -> None:
    link = re.search(r"http\S+", stage.mail_to(ANN["email"]) or "")
    assert link is not None
    assert stage.running.call("GET", link[0]).status == 200
    token = link[0].partition("token=")[2]

    accepted = stage.running.call("POST", "/v1/invitations/accept", {"token": token})

    assert accepted.status == 200, accepted.data
    assert accepted.json()["data"]["status"] == "active"


def test_its_waiting_jobs_run_in_this_release(stage: Upgrading, upgraded: Left) -> None:
    stage.rest(at_rest=False)
    assert_all_is_done(stage, upgraded.work, "bea")


@pytest.fixture(scope="module")
def returned(stage: Upgrading, upgraded: Left, before: Path) -> Left:
    """This release leaves work behind, and the release before comes back."""
    stage.rest(at_rest=True)
    work = stage.leave_work("cleo")
    left = Left(work, stage.lists(), stage.table_ids(), stage.invite(ANN, **KEY).json())
    stage.go_back_to(before)
    return left


def test_the_release_before_reads_what_this_one_wrote(stage: Upgrading, returned: Left) -> None:
    lists = stage.lists()
    for name, rows in returned.lists.items():
        assert lists[name].keys() == rows.keys(), name
    assert lists["users"][returned.work.user["id"]]["email"] == "cleo@example.com"
    assert lists["projects"][returned.work.project["id"]]["name"] == "Project of cleo"
    assert stage.read(f"/v1/batches/{returned.work.batch_id}")["total"] == 1
    assert stage.invite(ANN, **KEY).json() == returned.first_answer


def test_the_release_before_runs_the_jobs_that_this_one_left(
    stage: Upgrading, returned: Left
) -> None:
    stage.rest(at_rest=False)
    assert_all_is_done(stage, returned.work, "cleo")


def assert_all_is_done(stage: Upgrading, work: Written, name: str) -> None:
    ended = stage.worked_off(work)
    assert (ended["batch"]["done"], ended["batch"]["failed"]) == (1, 0), ended
    assert ended["project"]["status"] == "active", ended
    users = {each["email"] for each in stage.lists()["users"].values()}
    assert {f"{name}@example.com", f"row-of-{name}@example.com"} <= users


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    """What of a row no later job changes."""
    return {name: row[name] for name in ("name", "email", "type", "created_at") if name in row}
