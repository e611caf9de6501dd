"""What a cold start must not pay for."""

import subprocess
import sys

from tests.contract.source import ROOT, modules

FORBIDDEN_AT_START = {
    "boto3",
    "requests",
    "jinja2",
    "cryptography",
    "jwt",
    "aws_xray_sdk",
    "moto",
}


def test_importing_the_app_stays_light() -> None:
    code = "import sys, app; print(*{name.split('.')[0] for name in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert set(run.stdout.split()).isdisjoint(FORBIDDEN_AT_START)


def test_values_are_structs_where_nothing_speaks_against_it() -> None:
    """Making a frozen dataclass takes over half a millisecond of a cold start, a struct a 40th."""
    found = {
        module.name.removeprefix("chalicelib.")
        for module in modules("chalicelib")
        if "dataclasses" in module.imports()
    }

    assert found == set()
