"""A stage on ministack, whichever release it runs, and what that release leaves behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3

from .conftest import Deployment, Issuer, as_deployed, command_environment, run_deploy
from .ministack import ACCOUNT, Ministack, sent_mails, wait_for
from .ministack import REGION as REGION_NAME
from .missing import Missing
from .opening import opened

JOB_SECONDS = 90
REGION = {
    "provider": "openstack",
    "address": "https://cloud.example.com:5000/v3",
    "account": "Default/admin",
    "username": "backburner",
}


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

    def token(self, subject: str, **claims: Any) -> str:
        """A token of a login; a new one each time, since API Gateway keeps answers to tokens."""
        return self._issuer.token(sub=subject, jti=uuid4().hex, **claims)

    def users_seen_by(self, subject: str, **claims: Any) -> int:
        """The status of the list of users, for a login whose tokens say `manager`."""
        token = self.token(subject, **claims)
        return int(self.running.call("GET", "/admin/v1/users", token=token).status)

    def projects_seen_by(self, subject: str) -> list[str]:
        """The names of the projects that a member of staff with this login takes part in."""
        token = self.token(subject, role="staff")
        answer = self.running.call("GET", "/admin/v1/projects", token=token)
        assert answer.status == 200, answer.data
        return [project["name"] for project in answer.json()["data"]]

    def read(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, answer.data
        return answer.json()["data"]

    def rest(self, *, at_rest: bool) -> None:
        """Lets the queues' messages wait, or be worked again."""
        client = self.ministack.client("lambda")
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=not at_rest)

    def keep_password(self, region: str, password: str) -> None:
        """Adds a region, or changes the password of one that is there."""
        token = self._issuer.token(role="admin", tenant_id=None)
        new = {**REGION, "name": region, "password": password}
        added = self.running.call("POST", "/admin/v1/regions", new, token=token)
        if added.status == 409:
            path = f"/admin/v1/regions/openstack/{region}"
            added = self.running.call("PATCH", path, {"password": password}, token=token)
        assert added.status in (200, 201), added.data

    def secrets(self, release: Path) -> dict[str, str]:
        """All that is sealed, opened by a release with the settings of the functions."""
        told = self.ministack.client("lambda").get_function_configuration(
            FunctionName="backburner-dev-provision"
        )["Environment"]["Variables"]
        environment = {**told, **command_environment(self.ministack.endpoint_url)}
        return opened(release, environment, self._rows)

    def forms(self) -> dict[str, int]:
        """The form in which each secret is sealed."""
        sealed = {
            str(row["sk"]): row.get("sealed_password") or row.get("sealed")
            for row in self._rows.scan()["Items"]
        }
        return {key: bytes(value)[0] for key, value in sealed.items() if value}

    @property
    def _rows(self) -> Any:
        database = boto3.Session().resource(
            "dynamodb",
            region_name=REGION_NAME,
            endpoint_url=self.ministack.endpoint_url,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="test",
        )
        return database.Table("backburner-dev-projects")

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
