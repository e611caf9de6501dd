"""The shortest way through the deployed project: in by HTTP, out by mail."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from .conftest import STAGE, Deployment
from .ministack import Mail, queued, sent_mails, wait_for
from .package import Package

#: Imports every module that ships, with the package alone on the path.
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import app, chalicelib
for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
    importlib.import_module(module.name)
"""
ANN = {"name": "Ann", "email": "ann-of-the-smoke-test@example.com", "role": "staff"}


def test_the_package_brings_everything_that_it_imports(packed: Package, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed.zip) as archive:
        archive.extractall(tmp_path)
    alone = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(tmp_path)]
    done = subprocess.run(alone, check=False, env={}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_invited_person_gets_one_mail(deployed: Deployment, tenant: str) -> None:
    answer = deployed.call("POST", "/admin/v1/users", ANN, token=deployed.issuer.token())
    assert answer.status == 201, answer.data
    assert answer.json()["data"]["email_invitation_queued"] is True
    link = answer.headers["Location"]
    assert deployed.call("GET", link, token=deployed.issuer.token()).json()["data"]["name"] == "Ann"

    def to_ann() -> list[Mail]:
        mails = sent_mails(deployed.ministack)  # other tests' tenants know an Ann too
        return [mail for mail in mails if mail.to == [ANN["email"]]]

    wait_for("mail to Ann", to_ann, 30)
    wait_for("end of the job", lambda: _statuses(deployed) == ["sent"], 10)
    [mail] = to_ann()
    assert f"{deployed.api_url}/invitations/accept?token=" in mail.text
    assert queued(deployed.ministack, f"backburner-{STAGE}-notify-dead") == []


def test_a_project_is_made_by_the_workflow_and_its_user_has_a_credential(
    deployed: Deployment, tenant: str
) -> None:
    token = deployed.issuer.token()
    bea = {"name": "Bea", "email": "bea-of-the-smoke-test@example.com", "role": "staff"}
    made = deployed.call("POST", "/admin/v1/users", bea, token=token)
    assert made.status == 201, made.data
    body = {"name": "Alder", "user_ids": [made.json()["data"]["user"]["id"]]}

    answer = deployed.call("POST", "/admin/v1/projects", body, token=token)

    assert answer.status == 201, answer.data
    link = answer.headers["Location"] + "/status"

    def ended() -> dict[str, Any] | None:
        now: dict[str, Any] = deployed.call("GET", link, token=token).json()["data"]
        return now if now["status"] in ("active", "failed") else None

    now = wait_for("end of the workflow", ended, 120)
    assert now["status"] == "active", now
    users = now["progress"]["users"]
    assert users["synced"] == users["total"] >= 1
    kept = deployed.ministack.client("dynamodb").scan(
        TableName=f"backburner-{STAGE}-projects",
        FilterExpression="begins_with(sk, :kind)",
        ExpressionAttributeValues={":kind": {"S": "credential#"}},
    )["Items"]
    assert [each["tenant"]["S"] for each in kept] == [tenant] * users["synced"]


def test_without_a_valid_token_nobody_gets_in(deployed: Deployment) -> None:
    for token in (None, deployed.issuer.token(exp=1)):  # the gateway's own 401, the authorizer's
        assert deployed.call("POST", "/admin/v1/users", ANN, token=token).status == 401


def _statuses(deployed: Deployment) -> list[str]:
    """How the tenant's notifications stand, asked through the API."""
    answer = deployed.call("GET", "/admin/v1/notifications", token=deployed.issuer.token())
    return [notification["status"] for notification in answer.json()["data"]]
