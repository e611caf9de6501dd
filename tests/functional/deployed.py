"""A deployment as the functional tests see it: its API, tokens for it, tenants of one test each.

Read from the JSON file that `--deployment` names:

    api_url       with the stage, without a last slash
    connect_to    host and port to connect to, where the name in api_url cannot be resolved
    certificate   authority to trust; absent: the usual ones
    issuer, audience, private_key, key_id      to sign tokens with, or
    token_command                              prints a token for the claims on its stdin
"""

import json
import shlex
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests

from tests.functional.client import Caller, Client


class Connection(requests.Session):
    """Connects to one address, whatever name a link has."""

    def __init__(self, connect_to: str | None, certificate: str | None) -> None:
        super().__init__()
        self._connect_to = connect_to
        self.verify = certificate or True
        self.trust_env = False

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        if self._connect_to:
            parts = urlsplit(url)
            url = urlunsplit((parts.scheme, self._connect_to, *parts[2:]))
            headers = dict(options.pop("headers", None) or {})
            options["headers"] = {**headers, "Host": parts.netloc}
        return super().request(method, url, **options)


@dataclass
class TenantsOfOneTest(Client):
    """A client whose tenants t1 and t2 are new ones: no test meets another's data."""

    tenants: dict[str, str] = field(default_factory=dict)

    def tenant_id(self, name: str) -> str:
        return self.tenants.get(name, name)


@dataclass(frozen=True)
class Deployed:
    """The deployment that a file describes."""

    told: dict[str, Any]

    @classmethod
    def read(cls, file: Path) -> "Deployed":
        return cls(json.loads(file.read_text()))

    def token(self, claims: dict[str, Any]) -> str:
        usual = {"iss": self.told.get("issuer"), "aud": self.told.get("audience")}
        given = {**usual, "exp": int(time.time()) + 900, **claims}
        if command := self.told.get("token_command"):
            return subprocess.run(
                shlex.split(command),
                input=json.dumps(given),
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
        import jwt

        return jwt.encode(
            given, self.told["private_key"], "RS256", headers={"kid": self.told["key_id"]}
        )

    @cached_property
    def platform(self) -> Caller:
        """An admin of the platform."""
        return Client(self.told["api_url"], self.token, self.connection).as_("admin", None)

    def connection(self) -> Connection:
        return Connection(self.told.get("connect_to"), self.told.get("certificate"))

    def client(self) -> Client:
        """A client with two tenants of its own, made through the API."""
        tenants = {name: f"{name}-{uuid.uuid4().hex[:12]}" for name in ("t1", "t2")}
        for name, id_ in tenants.items():
            made = self.platform.post("/admin/v1/tenants", {"id": id_, "name": f"Tenant {name}"})
            assert made.status_code == 201, made.text
        return TenantsOfOneTest(self.told["api_url"], self.token, self.connection, tenants)
