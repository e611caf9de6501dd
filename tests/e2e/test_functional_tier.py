"""The functional tier's scenarios, by HTTP against the deployment, with every role enforced."""

import re
import subprocess
import sys
from pathlib import Path

from .conftest import Deployment
from .package import PROJECT

LEAST = 25  #: tests that must run; there are many more


def test_every_functional_scenario_that_is_not_local_passes(
    deployed: Deployment, described: Path
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
    sys.__stdout__.write(f"\n{share[0]}\n")  # pytest shows a passed test's output to nobody
    assert int(share[1]) >= LEAST
