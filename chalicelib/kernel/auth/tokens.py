"""Bearer tokens: who calls, checked against the issuer's published keys.

The authorizer is a Lambda function of its own, so that JWT and cryptography stay out of the API
function's cold start; API Gateway caches its answer. A token is accepted only if it is signed by
one of the issuer's keys with an allowed algorithm, names the right issuer and audience, and has not
expired (RFC 7519, RFC 8725).
"""

import json
import threading
import time
from collections.abc import Callable
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.request import urlopen

import jwt
from chalice.app import AuthResponse

from chalicelib.kernel import telemetry
from chalicelib.kernel.auth.tenancy import ROLES, Caller
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import failures

#: The least time between two requests for the issuer's keys, whatever key ids tokens name.
REFETCH_SECONDS = 10
RETRY_SECONDS = 1  #: the least time while no keys are known
KEEP_SECONDS = 3600
FETCH_SECONDS = 5  #: the issuer has this long to answer


class TokenRefused(Exception):
    """The token is missing, malformed, forged, expired, or of another issuer."""


class IssuerUnavailable(Exception):
    """No key of the issuer is known and none can be read, so no token can be checked."""


class Keys:
    """The issuer's published keys (JWKS), kept for an hour and read again for an unknown key id.

    While they cannot be read again, the known ones stay in use.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._keys: dict[str | None, Any] = {}
        self._tried_at = float("-inf")  #: time.monotonic() at the last request
        self._read_at = float("-inf")  #: time.monotonic() at the last request that succeeded

    def find(self, key_id: str | None) -> Any:
        """The key of this id. Raises TokenRefused when there is none, IssuerUnavailable.

        A flood of unknown ids costs one request in REFETCH_SECONDS.
        """
        if self._is_due(key_id):
            with self._lock:
                if self._is_due(key_id):
                    self._read()
        if not self._keys:
            raise IssuerUnavailable(self._url)
        key = self._keys.get(key_id)
        if key is None and key_id is None and len(self._keys) == 1:
            (key,) = self._keys.values()  # a single key needs no id (OpenID Connect Core, 10.1)
        if key is None:
            raise TokenRefused("unknown key")
        return key

    def _is_due(self, key_id: str | None) -> bool:
        now = time.monotonic()
        if not self._keys:
            return now - self._tried_at > RETRY_SECONDS
        is_needed = key_id not in self._keys or now - self._read_at > KEEP_SECONDS
        return is_needed and now - self._tried_at > REFETCH_SECONDS

    def _read(self) -> None:
        try:
            self._keys = _fetch(self._url)
            self._read_at = time.monotonic()
        except (OSError, ValueError, HTTPException) as error:
            telemetry.log.warning("keys not read", error=type(error).__name__, why=str(error))
        finally:
            self._tried_at = time.monotonic()


def _fetch(url: str) -> dict[str | None, Any]:
    with urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310  `_keys` checked the scheme  # nosec B310
        return usable_keys(answer.read())


def usable_keys(document: bytes) -> dict[str | None, Any]:
    """The keys of a JWKS document (RFC 7517) that sign tokens, by id; None for a key without id.

    Keys for encryption, of unknown types and malformed ones are left out. Raises ValueError when no
    key is left.
    """
    try:
        published = jwt.PyJWKSet.from_dict(json.loads(document)).keys
    except (jwt.PyJWTError, AttributeError) as error:
        raise ValueError(f"no usable key: {error}") from error
    keys = {
        key.key_id: key
        for key in published
        if key.public_key_use in (None, "sig")
        and key.key_type != "oct"  # a symmetric key that is published is no secret
        and isinstance(key.key_id, str | None)
    }
    if not keys:
        raise ValueError("no key for signatures")
    return keys


@cache
def _keys(url: str) -> Keys:
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise TokenRefused("JWKS_URL is not set to an https address")
    return Keys(url)


def claims_of(authorization: str) -> dict[str, Any]:
    """The claims of this header's token. Raises TokenRefused for anything but a valid token."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefused("not a bearer token")
    return _claims(token.strip())


def _claims(token: str) -> dict[str, Any]:
    allowed = settings.listed("token_algorithms")
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in allowed:
            raise TokenRefused("algorithm not allowed")
        claims = jwt.decode(
            token,
            _keys(settings.jwks_url).find(header.get("kid")),
            algorithms=list(allowed),
            issuer=settings.issuer,
            leeway=settings.token_leeway_seconds,
            options={"require": ["exp", "sub"], "verify_aud": False},
        )
    except jwt.InvalidTokenError as error:
        raise TokenRefused(type(error).__name__) from error
    if not settings.audience or settings.audience not in _listed(claims, settings.audience_claim):
        raise TokenRefused("wrong audience")
    return dict(claims)


def _listed(claims: dict[str, Any], name: str) -> list[Any]:
    """The values of a claim that some issuers write as one value and others as a list."""
    value = claims.get(name)
    return value if isinstance(value, list) else [value]


def caller_of(claims: dict[str, Any]) -> Caller:
    """The caller that the claims describe, with the strongest of several roles.

    Raises TokenRefused when no role is among the claims.
    """
    claimed = _listed(claims, settings.role_claim)
    role = next((role for role in ROLES if role in claimed), None)
    if role is None:
        raise TokenRefused("no role")
    # Some issuers write their booleans as words.
    email = claims.get("email") if claims.get("email_verified") in (True, "true") else ""
    return Caller(
        subject=str(claims["sub"]),
        role=role,
        tenant_id=str(claims.get(settings.tenant_claim) or ""),
        email=str(email or ""),
    )


def context_of(caller: Caller, expires_at: int) -> dict[str, str]:
    """What the authorizer hands to the API function with each request.

    The token's expiry is among it, since the gateway repeats this answer for minutes, even after
    the token has expired.
    """
    return {
        "exp": str(expires_at),
        "sub": caller.subject,
        "role": caller.role,
        "tenant_id": caller.tenant_id,
        "email": caller.email,
    }


def authorize(authorization: str, may_enter: Callable[[Caller], bool]) -> AuthResponse:
    """The authorizer's answer: access to all routes, to none (403), or the error that means 401.

    API Gateway answers 401 only to an error with exactly this text. Each route checks roles itself,
    so one cached answer serves all routes. `may_enter` is called for a valid token; while the store
    is down the token alone decides.
    """
    try:
        claims = claims_of(authorization)
        caller = caller_of(claims)
    except TokenRefused as refused:
        telemetry.log.info("token refused", why=str(refused))
        raise Exception("Unauthorized") from refused  # noqa: TRY002  the text is the contract
    return AuthResponse(
        routes=["*"] if _may_enter(caller, may_enter) else [],
        principal_id=caller.subject,
        context=context_of(caller, int(claims["exp"])),
    )


def _may_enter(caller: Caller, check: Callable[[Caller], bool]) -> bool:
    try:
        return check(caller)
    except Exception as error:
        if not failures.is_transient(error):
            raise
        telemetry.log.warning("sign-in not looked up", error=type(error).__name__)
        return True
