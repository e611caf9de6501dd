"""npm oidc-provider as a process, and the ways in which people and programs get tokens from it."""

import base64
import hashlib
import json
import re
import secrets
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.peers.install import OIDC

SCRIPT = Path(__file__).with_name("provider.mjs")
AUDIENCE = "urn:backburner:api"
ELSEWHERE = "urn:another:api"
REDIRECT = "http://127.0.0.1/signed-in"
STOP_SECONDS = 10
MANAGER = {"role": "manager", "tenant_id": "t1"}
#: What programs, by their client ids, and people may do.
CLIENTS: list[dict[str, Any]] = [
    {"id": "importer", "secret": "s3cret", "claims": MANAGER},
    {"id": "elliptic", "secret": "s3cret", "claims": MANAGER, "algorithm": "ES256"},
    {"id": "hurried", "secret": "s3cret", "claims": MANAGER, "seconds": 1},
    {"id": "nobody", "secret": "s3cret", "claims": {"tenant_id": "t1"}},
    {"id": "console", "redirect": REDIRECT},
]
PEOPLE = {"ann": MANAGER, "carl": {"role": "customer", "tenant_id": "t1"}}


def _new_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def _new_ec() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Keys:
    """The provider's key pairs, one for each algorithm."""

    name: str  #: begins the ids of the keys
    main: rsa.RSAPrivateKey = field(default_factory=_new_rsa)
    elliptic: ec.EllipticCurvePrivateKey = field(default_factory=_new_ec)

    def published(self) -> list[dict[str, Any]]:
        """As private JWKs, which the provider signs with."""
        signing = json.loads(RSAAlgorithm.to_jwk(self.main))
        elliptic = json.loads(ECAlgorithm.to_jwk(self.elliptic))
        return [
            {**signing, "kid": f"{self.name}-rsa", "use": "sig", "alg": "RS256"},
            {**elliptic, "kid": f"{self.name}-ec", "use": "sig", "alg": "ES256"},
        ]

    def sign(self, claims: dict[str, Any]) -> str:
        """A token exactly as the provider would sign it, for what it would never say."""
        return jwt.encode(claims, self.main, "RS256", {"kid": f"{self.name}-rsa", "typ": "at+jwt"})


class Provider:
    """A running provider."""

    def __init__(self, process: "subprocess.Popen[str]", port: int, keys: Keys) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.jwks_url = f"{self.issuer}/jwks"
        self.port = port
        self.keys = keys
        self._process = process
        self._requested: Counter[str] = Counter()
        self._counting = threading.Thread(target=self._count)
        self._counting.start()

    @classmethod
    def start(cls, keys: Keys, log: Path, port: int) -> Self:
        """Returns when it answers."""
        wanted = {
            "port": port,
            "keys": keys.published(),
            "resources": [AUDIENCE, ELSEWHERE],
            "clients": CLIENTS,
            "people": PEOPLE,
        }
        pipe = subprocess.PIPE
        with log.open("w") as written:
            process = subprocess.Popen(
                ["node", SCRIPT], cwd=OIDC, stdin=pipe, stdout=pipe, stderr=written, text=True
            )
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(wanted) + "\n")
        process.stdin.flush()
        first = process.stdout.readline()
        if not first:
            process.communicate(timeout=STOP_SECONDS)
            raise RuntimeError(f"the provider did not start:\n{log.read_text()}")
        return cls(process, json.loads(first)["port"], keys)

    def stop(self) -> None:
        """Ends it. Safe to call twice."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        self._counting.join(STOP_SECONDS)
        self._process.stdout.close()

    def _count(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._requested[json.loads(line)["path"]] += 1

    @property
    def key_requests(self) -> int:
        """How often its keys were asked for."""
        return self._requested["/jwks"]

    def client_token(self, client: str, resource: str = AUDIENCE) -> str:
        """The token of a program, by its id and secret (RFC 6749, section 4.4)."""
        asked = {"grant_type": "client_credentials", "scope": "api", "resource": resource}
        return self._token(asked, auth=(client, "s3cret"))

    def persons_token(self, login: str) -> str:
        """The token of a person who signs in at the console: code flow with PKCE (RFC 7636)."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        code = self._code(login, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())
        asked = {
            "grant_type": "authorization_code",
            "client_id": "console",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": REDIRECT,
            "resource": AUDIENCE,
        }
        return self._token(asked)

    def _token(self, asked: dict[str, str], **how: Any) -> str:
        answer = requests.post(f"{self.issuer}/token", data=asked, timeout=10, **how)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def _code(self, login: str, challenge: str) -> str:
        """Fills in the provider's forms, sign-in and consent, until it sends the browser back."""
        asked = {
            "client_id": "console",
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": "openid api",
            "resource": AUDIENCE,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        with requests.Session() as browser:
            answer = browser.get(
                f"{self.issuer}/auth", params=asked, timeout=10, allow_redirects=False
            )
            while True:
                answer = _followed(browser, answer)
                if answer.is_redirect:
                    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
                answer = _submitted(browser, answer, login)


def _followed(browser: requests.Session, answer: requests.Response) -> requests.Response:
    """The next page, or the redirect that leads back to the console."""
    while answer.is_redirect and not answer.headers["Location"].startswith(REDIRECT):
        address = urljoin(answer.url, answer.headers["Location"])
        answer = browser.get(address, timeout=10, allow_redirects=False)
    return answer


def _submitted(browser: requests.Session, page: requests.Response, login: str) -> requests.Response:
    action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
    prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
    assert action, page.text
    assert prompt, page.text
    filled = {"prompt": prompt[1], "login": login, "password": "any"}
    return browser.post(
        urljoin(page.url, action[1]), data=filled, timeout=10, allow_redirects=False
    )


@contextmanager
def running(keys: Keys, log: Path, port: int = 0) -> Iterator[Provider]:
    """Starts a provider, on a free port unless one is named, and ends it."""
    provider = Provider.start(keys, log, port)
    try:
        yield provider
    finally:
        provider.stop()
