"""The functional scenarios against a stage on a real account: `make e2e TARGET=aws STAGE=dev`.

    E2E_API_URL=https://abc.execute-api.eu-central-1.amazonaws.com/api
    E2E_TOKEN_COMMAND='./token.sh'     reads claims (JSON) from stdin, prints a token of the issuer
    E2E_CONFIRM=dev                    the stage's name once more: tenants and users are made there

Costs a few cents, sends no mail to anybody but *.example.com, and refuses prod.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.real", description=__doc__)
    parser.add_argument("--stage", required=True)
    stage = parser.parse_args().stage
    if stage == "prod":
        sys.exit("Not on prod: the scenarios make tenants and users.")
    if os.environ.get("E2E_CONFIRM") != stage:
        sys.exit(f"Set E2E_CONFIRM={stage} to run against this stage.\n{__doc__}")
    missing = [name for name in ("E2E_API_URL", "E2E_TOKEN_COMMAND") if not os.environ.get(name)]
    if missing:
        sys.exit(f"Set {' and '.join(missing)}.\n{__doc__}")
    told = {
        "api_url": os.environ["E2E_API_URL"].rstrip("/"),
        "token_command": os.environ["E2E_TOKEN_COMMAND"],
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "deployment.json")
        file.write_text(json.dumps(told))
        return subprocess.call(
            [
                *(sys.executable, "-m", "pytest", "tests/functional"),
                *(f"--deployment={file}", "--force-enable-socket"),
            ],
            cwd=ROOT,
        )


if __name__ == "__main__":
    sys.exit(main())
