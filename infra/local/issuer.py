"""A small token issuer for the local cloud: its own key pair, a JWKS, tokens for any role.

The API checks these tokens exactly as those of a real OpenID Connect issuer. An elliptic key is
generated at once, and its tokens are short enough for a command line.
"""

import json
import time
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ISSUER = "https://issuer.backburner.local"
AUDIENCE = "backburner"
ALGORITHM = "ES256"
KEY_ID = "local-1"
#: Long, so that tokens stay valid when a test moves the clock by weeks.
LIFETIME_SECONDS = 365 * 86_400


class Issuer:
    """One key pair, generated at the first use."""

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    def jwks(self) -> dict[str, Any]:
        """The public key in the form that issuers publish (RFC 7517)."""
        public = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": KEY_ID, "alg": ALGORITHM, "use": "sig"}]}

    def token(self, claims: dict[str, Any], lifetime_seconds: int = LIFETIME_SECONDS) -> str:
        """A signed token; `claims` are added to issuer, audience and times, or replace them."""
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + lifetime_seconds}
        return jwt.encode({**usual, **claims}, self._key, ALGORITHM, headers={"kid": KEY_ID})
