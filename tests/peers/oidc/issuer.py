"""An issuer of a test's own: one key, a JWKS that it may write as it likes, tokens of any shape."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from jwt.algorithms import RSAAlgorithm

from tests.peers.oidc.provider import Keys


class Issuer:
    """Publishes its key at `jwks_url`, among `others`."""

    def __init__(self, port: int, keys: Keys) -> None:
        self.url = f"http://127.0.0.1:{port}/eu-central-1_Example"
        self.jwks_url = f"{self.url}/.well-known/jwks.json"
        self._keys = keys

    def token(self, **claims: Any) -> str:
        """A token with these claims, those that are None left out."""
        now = int(time.time())
        usual = {"iss": self.url, "sub": "6f1c", "iat": now, "exp": now + 600}
        given = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(given, self._keys.main, "RS256", {"kid": "cognito-1"})


@contextmanager
def running(*others: dict[str, Any]) -> Iterator[Issuer]:
    keys = Keys("cognito")
    public = json.loads(RSAAlgorithm.to_jwk(keys.main.public_key()))
    published = json.dumps({"keys": [*others, {**public, "kid": "cognito-1"}]}).encode()

    class Published(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(published)

        def log_request(self, *_: Any) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Published) as server:
        serving = threading.Thread(target=server.serve_forever, args=[0.05])
        serving.start()
        try:
            yield Issuer(server.server_port, keys)
        finally:
            server.shutdown()
            serving.join()
