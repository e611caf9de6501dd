"""Tokens taken apart and put together again, as nobody but an attacker would."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def edited(token: str, **changes: Any) -> str:
    """The same header and signature over other claims."""
    header, _, signature = token.split(".")
    return f"{header}.{part({**claims_of(token), **changes})}.{signature}"


def unsigned(token: str, algorithm: str) -> str:
    header = {**jwt.get_unverified_header(token), "alg": algorithm}
    return f"{part(header)}.{part(claims_of(token))}."


def signed_with_secret(token: str, secret: bytes) -> str:
    """The same claims with an HMAC: PyJWT would refuse to take a public key for a secret."""
    header = {**jwt.get_unverified_header(token), "alg": "HS256"}
    message = f"{part(header)}.{part(claims_of(token))}"
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    mac = base64.urlsafe_b64encode(hmac.sign(message.encode(), secret)).rstrip(b"=").decode()
    return f"{message}.{mac}"


def eventually(what: str, check: Callable[[], bool], seconds: float) -> None:
    """Waits until `check` holds; a TimeoutError names what did not come."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)
