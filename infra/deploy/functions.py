"""`chalice deploy`, when there is something new to deploy."""

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra import policies
from infra.deploy import record
from infra.deploy.account import Account, DeployError, code
from infra.deploy.project import StageProject

_SHOWN = 12  #: last lines of Chalice's output in an error


def deploy(account: Account, project: StageProject) -> tuple[bool, dict[str, Any]]:
    """Whether anything was deployed, and Chalice's record of what there is now.

    Chalice itself deploys every time; when what was deployed last is the same and the functions
    still run it, there is nothing to do.
    """
    known = record.bring_record(account, project.record)
    same = record.parameter(account, "fingerprint") == project.fingerprint
    if same and all_run(account, project):
        return False, known
    _run(account, project.folder)
    kept = record.keep_record(account, project.record)
    record.remember(account, "fingerprint", project.fingerprint)
    return True, kept


def all_run(account: Account, project: StageProject) -> bool:
    """Whether every function is there and runs this package."""
    digest = hashlib.sha256(project.package.zip.read_bytes()).digest()
    wanted = base64.b64encode(digest).decode()
    return all(
        configuration(account, function).get("CodeSha256") == wanted
        for function in policies.functions()
    )


def configuration(account: Account, function: str) -> dict[str, Any]:
    """A function's configuration on Lambda; empty when there is no such function."""
    name = policies.lambda_name(function, account.stage)
    try:
        found: dict[str, Any] = account.client("lambda").get_function_configuration(
            FunctionName=name
        )
    except ClientError as error:
        if code(error) == "ResourceNotFoundException":
            return {}
        raise
    return found


def tell(account: Account, function: str, settings: Mapping[str, str]) -> bool:
    """Sets what is missing of a function's settings; whether anything was.

    The environment is set as a whole, so it is read first; Lambda takes one change at a time.
    """
    there = configuration(account, function).get("Environment", {}).get("Variables", {})
    if settings.items() <= there.items():
        return False
    client, name = account.client("lambda"), policies.lambda_name(function, account.stage)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    variables = {**there, **settings}
    client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    return True


def _run(account: Account, folder: Path) -> None:
    chalice = Path(sys.executable).with_name("chalice")
    done = subprocess.run(  # noqa: S603  our own words
        [str(chalice), "--project-dir", str(folder), "deploy", "--stage", account.stage],
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "AWS_DEFAULT_REGION": account.region,
            "PYTHONPATH": "",  # this project's modules must not be taken for the copy's
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    if done.returncode:
        told = (done.stdout + done.stderr).strip().splitlines()[-_SHOWN:]
        raise DeployError(
            "chalice deploy failed; running it again goes on where it stopped:\n  "
            + "\n  ".join(told)
        )
