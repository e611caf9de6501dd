"""One ministack with the project deployed, for all tests of this folder."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import urllib3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .growth import grown
from .ministack import ACCOUNT, REGION, Ministack, install
from .missing import Missing
from .package import PROJECT, Package, package

STAGE = "dev"  #: of .chalice/config.json: what ships to a stage, not a stage of our own
AUDIENCE = "backburner"
ORIGIN = "https://app.example.com"  #: may call from a browser
TENANT = "t1"
RUNNING = pytest.StashKey[Ministack]()
TOLD = pytest.StashKey[list[str]]()  #: what a run says at its end, passed or not


class Issuer:
    """An OpenID Connect issuer: one key, published on 127.0.0.1, and tokens signed with it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        keys = json.dumps({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]})

        class Published(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(keys.encode())

            def log_request(self, *_: Any) -> None:
                """Silent: the tests' output is theirs."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Published)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def token(self, **claims: Any) -> str:
        """A token of a manager of TENANT, valid for five minutes unless `claims` say otherwise."""
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "manager-1",
            "role": "manager",
            "tenant_id": TENANT,
            "exp": int(time.time()) + 300,
        }
        return jwt.encode({**usual, **claims}, self._key, "RS256", headers={"kid": "one"})

    @property
    def private_key(self) -> str:
        """The key in the form that the functional tests read it."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    def stop(self) -> None:
        """Closes the address of the keys."""
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Deployment:
    """The project, deployed: its address, the cloud that it runs in, and who may sign tokens."""

    api_url: str
    ministack: Ministack
    issuer: Issuer
    deploying: str  #: what `python -m infra.deploy` said

    @cached_property
    def told(self) -> dict[str, Any]:
        """The deployment as tests/functional/deployed.py wants it described."""
        return {
            "api_url": self.api_url,
            "connect_to": self.ministack.endpoint_url.partition("//")[2],
            "certificate": self.ministack.certificate,
            "issuer": self.issuer.url,
            "audience": AUDIENCE,
            "private_key": self.issuer.private_key,
            "key_id": "one",
        }

    @cached_property
    def socket_endpoint(self) -> str:
        """Where the functions send to sockets; a client opens one at the same place."""
        (api,) = self.ministack.client("apigatewayv2").get_apis()["Items"]
        return f"{self.ministack.endpoint_url}/_aws/execute-api/{api['ApiId']}/api"

    def environment(self) -> dict[str, str]:
        """Of a command that shall meet this ministack, as the account's root."""
        return command_environment(
            self.ministack.endpoint_url, AWS_CA_BUNDLE=self.ministack.certificate
        )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Calls a path of the API or a link that it gave, with a bearer token if there is one."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        url = path if path.startswith(self.api_url) else self.api_url + path
        return self.ministack.request(method, url, json=body, headers={**bearer, **(headers or {})})


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return package(PROJECT, STAGE, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def grown_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with more of everything; packed once for all who need it."""
    return grown(tmp_path_factory.mktemp("grown"), STAGE)


@pytest.fixture(scope="session")
def ministack(pytestconfig: pytest.Config) -> Iterator[Ministack]:
    install()
    started = pytestconfig.stash[RUNNING] = Ministack.start(auth=True)
    yield started
    started.stop()
    del pytestconfig.stash[RUNNING]
    assert started.processes() == []


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    started = Issuer()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def proxy(ministack: Ministack) -> Iterator[Missing]:
    started = Missing(ministack)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def deployed(ministack: Ministack, proxy: Missing, issuer: Issuer) -> Deployment:
    """The stage, deployed by the project's own command, with every role enforced."""
    done = run_deploy(proxy, issuer, "--no-doctor")
    return as_deployed(done, ministack, issuer)


def as_deployed(
    done: "subprocess.CompletedProcess[str]", ministack: Ministack, issuer: Issuer
) -> Deployment:
    """What a run of the project's command has deployed, which must have succeeded."""
    assert done.returncode == 0, done.stdout + done.stderr
    # AWS's own address, https://<id>.execute-api...; ministack knows it by its id.
    told = next(line for line in done.stdout.splitlines() if line.startswith("API: "))
    api_id = told.partition("//")[2].partition(".")[0]
    return Deployment(f"{ministack.api_url(api_id)}/api", ministack, issuer, done.stdout)


def run_deploy(
    proxy: Missing, issuer: Issuer, *more: str, stage: str = STAGE, project: Path = PROJECT
) -> "subprocess.CompletedProcess[str]":
    """Runs the project's own command, or that of another release or copy, against ministack."""
    settings = {
        "ISSUER": issuer.url,
        "AUDIENCE": AUDIENCE,
        "JWKS_URL": f"{issuer.url}/jwks",
        "CORS_ORIGINS": ORIGIN,
        "SENDER_EMAIL": "no-reply@example.com",
        "SMS_ENABLED": "true",
        "SIMULATED_REGIONS": "local-1",
        "UNKNOWN_SUBJECTS": "report",  # the tests' callers are no users
    }
    given = [f"--setting={name}={value}" for name, value in settings.items()]
    return subprocess.run(
        [sys.executable, "-m", "infra.deploy", "--stage", stage, *given, *more],
        check=False,
        cwd=project,
        env=command_environment(proxy.url),
        capture_output=True,
        text=True,
        timeout=300,
    )


def command_environment(endpoint_url: str, **more: str) -> dict[str, str]:
    """Of a command against ministack: nothing of the shell's own AWS account."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **more,
    }


@pytest.fixture(scope="session")
def described(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file by which the functional tests find the deployment."""
    file = tmp_path_factory.mktemp("deployment") / "deployment.json"
    file.write_text(json.dumps(deployed.told))
    return file


@pytest.fixture(scope="session")
def tenant(deployed: Deployment) -> str:
    """The id of a tenant that exists."""
    return make_tenant(deployed.ministack)


def make_tenant(ministack: Ministack) -> str:
    """Makes TENANT; the first one has no API to come from."""
    row = {"tenant": "#tenants", "sk": TENANT, "name": "Acme", "status": "active", "sender": ""}
    ministack.client("dynamodb").put_item(
        TableName=f"backburner-{STAGE}-kernel",
        Item={name: {"S": value} for name, value in row.items()},
    )
    return TENANT


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failed test shows what ministack and the functions printed."""
    report = yield
    ministack = item.config.stash.get(RUNNING, None)
    if report.failed and ministack:
        report.sections.append(("ministack", ministack.log()))
        report.sections.append(("functions", ministack.function_logs()))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for text in config.stash.get(TOLD, []):
        terminalreporter.write_line(text)
