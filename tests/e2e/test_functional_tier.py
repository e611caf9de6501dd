"""The functional tier's scenarios, by HTTP against the deployment, with every role enforced."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TOLD, Deployment
from .package import PROJECT

LEAST = 240  #: tests that must run; there are 260


def test_every_functional_scenario_that_is_not_local_passes(
    deployed: Deployment, described: Path, pytestconfig: pytest.Config
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/functional", f"--deployment={described}"],
        check=False,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=420,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    share = re.search(r"(\d+) of (\d+) functional tests ran against the deployment.*", done.stdout)
    assert share
    pytestconfig.stash.setdefault(TOLD, []).append(share[0])
    assert int(share[1]) >= LEAST
    # Some refusals nobody notices: the function goes another way.
    logs = deployed.ministack.function_logs(sys.maxsize).splitlines()
    assert [line for line in logs if "AccessDenied" in line] == []
