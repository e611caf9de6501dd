"""The fast path of AWS calls is installed by the session alone, and a setting leaves it out."""

import os
import subprocess
import sys

import pytest

from tests.contract.source import ROOT

CLASSES = """
from botocore import auth, awsrequest, parsers, serialize
import app
{session}
print(
    "backburner" in auth.AUTH_TYPE_MAPS,
    serialize.SERIALIZERS["json"].__module__,
    parsers.PROTOCOL_PARSERS["json"].__module__,
    awsrequest.AWSHTTPConnectionPool.ConnectionCls.__module__,
    awsrequest.AWSHTTPSConnectionPool.ConnectionCls.__module__,
)
"""
SESSION = "from chalicelib.kernel import aws; aws.session()"
BOTOCORES = "False botocore.serialize botocore.parsers botocore.awsrequest botocore.awsrequest"
OURS = "True" + " chalicelib.kernel.aws.fast_path" * 4


def run(*arguments: str, fast_path: str = "on") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "FAST_PATH": fast_path},
    )


@pytest.mark.parametrize(
    ("session", "fast_path", "classes"),
    [("", "on", BOTOCORES), (SESSION, "on", OURS), (SESSION, "off", BOTOCORES)],
    ids=["an import changes nothing", "the session installs it", "the setting leaves it out"],
)
def test_one_call_installs_the_fast_path(session: str, fast_path: str, classes: str) -> None:
    done = run("-c", CLASSES.format(session=session), fast_path=fast_path)

    assert done.stdout.strip() == classes, done.stderr


def test_users_are_created_and_invited_without_the_fast_path() -> None:
    done = run(
        *("-m", "pytest", "-p", "no:cacheprovider", "tests/functional/people/test_create_user.py"),
        fast_path="off",
    )

    assert done.returncode == 0, done.stdout[-4000:]
