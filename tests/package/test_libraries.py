"""Libraries in the package: unchanged, and whole although much around them is left out."""

import subprocess
import sys
from pathlib import Path

from infra.package.content import Files

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "STAGE": "test",
}


def run(unpacked: Path, code: str) -> str:
    """What the code prints in a process that can import the package and nothing else."""
    begin = "import sys; sys.path.insert(0, sys.argv[1])\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", begin + code, str(unpacked)],
        check=False,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_ships_as_its_authors_wrote_it(packed: Files, shipped: Files) -> None:
    modules = {name for name in shipped if name.endswith(".py")}

    assert {"botocore/credentials.py", "certifi/core.py", "urllib3/http2/__init__.py"} <= modules
    assert {name for name in modules if shipped[name] != packed[name]} == set()


def test_a_client_s_help_is_written_although_its_documentation_does_not_ship(
    unpacked: Path,
) -> None:
    code = """
from chalicelib.kernel import aws
print(aws.client("sqs").send_message.__doc__)
"""
    assert "**Request Syntax**" in run(unpacked, code)


def test_a_waiter_and_a_paginator_find_their_answer(unpacked: Path) -> None:
    code = """
from botocore.paginate import Paginator
from botocore.waiter import SingleWaiterConfig, Waiter
accept = {"state": "success", "matcher": "path", "argument": "a.b", "expected": 1}
config = SingleWaiterConfig(
    {"operation": "X", "delay": 0, "maxAttempts": 1, "acceptors": [accept]}
)
Waiter("x", config, lambda **_: {"a": {"b": 1}}).wait()
class Model:
    input_shape = None
settings = {"result_key": "a.b", "input_token": "next", "output_token": "next"}
pages = Paginator(lambda **_: {"a": {"b": [1, 2]}}, settings, Model()).paginate()
print(list(pages.search("a.b[]")), pages.build_full_result())
"""
    assert run(unpacked, code) == "[1, 2] {'a': {'b': [1, 2]}}\n"


def test_tokens_and_secrets_need_nothing_of_cryptography_that_does_not_ship(unpacked: Path) -> None:
    code = """
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
cipher = AESGCM(AESGCM.generate_key(256))
print(cipher.decrypt(b"n" * 12, cipher.encrypt(b"n" * 12, b"secret", b"place"), b"place").decode())
keys = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
for key, algorithm in zip(keys, ("RS256", "ES256")):
    token = jwt.encode({"sub": "ann"}, key, algorithm)
    print(jwt.decode(token, key.public_key(), [algorithm])["sub"])
"""
    assert run(unpacked, code) == "secret\nann\nann\n"


def test_the_certificates_for_everybody_but_aws_are_found(unpacked: Path) -> None:
    code = "import certifi; print(certifi.where()); assert len(certifi.contents()) > 100_000"

    assert run(unpacked, code) == f"{unpacked}/certifi/cacert.pem\n"


def test_parameters_are_read_by_our_client_and_what_else_powertools_can_do_does_not_ship(
    unpacked: Path,
) -> None:
    code = """
import app
from chalicelib.kernel import aws
assert "boto3" not in sys.modules
from aws_lambda_powertools.utilities import parameters
provider = parameters.SSMProvider(boto3_client=aws.client("ssm"))
print(provider.client.meta.config.user_agent, sorted(provider.client.meta.method_to_api_mapping))
"""
    assert run(unpacked, code) == "backburner ['get_parameter']\n"
    assert not (unpacked / "aws_lambda_powertools" / "utilities" / "idempotency").exists()
