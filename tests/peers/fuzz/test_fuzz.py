"""Schemathesis over the API's own description, with all its checks, on a local cloud of its own.

No answer is a 5xx, none is outside the document, and no job dies of what was fed to it. The seed is
fixed; what is excepted, and why, stands in schemathesis.toml.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.peers import cloud as clouds
from tests.peers.cloud import Cloud
from tests.peers.install import SCHEMATHESIS

HERE = Path(__file__).parent
REQUESTS = ("--phases", "examples,coverage,fuzzing", "--max-examples", "50")
SEQUENCES = ("--phases", "stateful", "--max-examples", "200")
TENANTS_OWN = "^/(admin/v1/(users|jobs|notifications)|v1/batches)"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with clouds.running(tmp_path / "cloud.log") as started:
        yield started


def fuzz(cloud: Cloud, home: Path, token: str, *options: str) -> int:
    """Runs schemathesis; the number of its test cases, all of which passed."""
    report = home / "report.json"
    done = subprocess.run(
        [
            SCHEMATHESIS / "bin" / "st",
            *("--config-file", HERE / "schemathesis.toml", "run", f"{cloud.url}/openapi.json"),
            *("--checks", "all", "--header", f"Authorization: Bearer {token}"),
            *("--report", "json", "--report-json-path", report, *options),
        ],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)  # noqa: T201  what went wrong, if so
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    return int(json.loads(report.read_text())["test_cases"]["generated"])


def assert_sound(cloud: Cloud) -> None:
    """Nothing went wrong behind the answers either."""
    state: dict[str, Any] = requests.get(f"{cloud.url}/_local/state", timeout=10).json()
    assert {name: queue["dead"] for name, queue in state["queues"].items()} == dict.fromkeys(
        state["queues"], 0
    )
    assert "Traceback" not in cloud.log.read_text(errors="replace")


def test_requests_of_a_manager(cloud: Cloud, tmp_path: Path) -> None:
    token = cloud.token(role="manager", tenant_id="t1")

    assert fuzz(cloud, tmp_path, token, *REQUESTS) > 1500
    assert_sound(cloud)


def test_requests_of_an_admin_who_names_a_tenant(cloud: Cloud, tmp_path: Path) -> None:
    named = ("--header", "X-Tenant-Id: t1")

    assert fuzz(cloud, tmp_path, cloud.token(role="admin"), *REQUESTS, *named) > 1500
    assert_sound(cloud)


def test_sequences_of_requests_of_a_manager(cloud: Cloud, tmp_path: Path) -> None:
    """Tenants are left out: made by admins only, they would be the start of every sequence."""
    token = cloud.token(role="manager", tenant_id="t1")

    assert fuzz(cloud, tmp_path, token, *SEQUENCES, "--include-path-regex", TENANTS_OWN) > 30
    assert_sound(cloud)


def test_sequences_of_requests_of_an_admin(cloud: Cloud, tmp_path: Path) -> None:
    assert fuzz(cloud, tmp_path, cloud.token(role="admin"), *SEQUENCES) > 30
    assert_sound(cloud)
