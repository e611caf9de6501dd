"""One ministack with the project deployed, for all tests of this folder."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import rsa

from .ministack import Ministack, install
from .package import PROJECT, Package, deploy, package

STAGE = "dev"  #: of .chalice/config.json: what ships to a stage, not a stage of our own
AUDIENCE = "backburner"
ORIGIN = "https://app.example.com"  #: may call from a browser
TENANT = "t1"
RUNNING = pytest.StashKey[Ministack]()


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
def ministack(pytestconfig: pytest.Config) -> Iterator[Ministack]:
    install()
    started = pytestconfig.stash[RUNNING] = Ministack.start()
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
def deployed(packed: Package, ministack: Ministack, issuer: Issuer) -> Deployment:
    environment = {
        "ISSUER": issuer.url,
        "AUDIENCE": AUDIENCE,
        "JWKS_URL": f"{issuer.url}/jwks",
        "SIGNING_KEYS": "only-for-this-deployment",
        "CORS_ORIGINS": ORIGIN,
    }
    api_url = deploy(ministack, packed, STAGE, environment)
    return Deployment(api_url, ministack, issuer)


@pytest.fixture(scope="session")
def tenant(deployed: Deployment) -> str:
    """The id of a tenant that exists; the first one has no API to come from."""
    row = {"tenant": "#tenants", "sk": TENANT, "name": "Acme", "status": "active", "sender": ""}
    deployed.ministack.client("dynamodb").put_item(
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
