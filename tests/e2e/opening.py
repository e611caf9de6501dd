"""All passwords and credentials of a stage, opened by the code of one release.

`opened` runs this file with that release's modules.
"""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def opened(release: Path, environment: dict[str, str], table: Any) -> dict[str, str]:
    """The secrets of a stage by the sort keys of their rows; raises for one that does not open."""
    rows = [(str(row["tenant"]), str(row["sk"])) for row in table.scan()["Items"]]
    secret = [row for row in rows if row[1].startswith(("region#", "credential#"))]
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(secret)],
        check=False,
        cwd=release,
        env={**environment, "PYTHONPATH": str(release)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _module(*names: str) -> Any:
    """The first of these that the release has: modules have moved."""
    for name in names[:-1]:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    return importlib.import_module(names[-1])


def _open(tenant: str, key: str) -> str:
    if key.startswith("region#"):
        regions = _module("chalicelib.projects.regions.service", "chalicelib.projects.regions")
        _, provider, name = key.split("#")
        return str(regions.find(provider, name).password)
    credentials = _module(
        "chalicelib.projects.workflow.credentials", "chalicelib.projects.credentials"
    )
    row = credentials.Credential.get(tenant, key)
    open_row = getattr(credentials, "_opened", None) or credentials._unsealed
    return str(open_row(row).secret)


if __name__ == "__main__":
    secrets = {key: _open(tenant, key) for tenant, key in json.loads(sys.argv[1])}
    sys.stdout.write(json.dumps(secrets))
