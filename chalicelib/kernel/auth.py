"""Bearer tokens: who calls, checked against the issuer's published keys.

Runs in the authorizer, a Lambda of its own, so that JWT and cryptography stay out of the API
function's cold start; API Gateway caches its answer. A token is accepted only with a signature by
one of the issuer's keys under an allowed algorithm, the right issuer and audience, within its
time (RFC 7519, RFC 8725).
"""

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from chalice.app import AuthResponse

from chalicelib.kernel import store, telemetry
from chalicelib.kernel.settings import settings
from chalicelib.kernel.tenancy import ROLES, Caller

#: An unknown key id asks the issuer for its keys again, at most this often.
REFETCH_SECONDS = 10
KEEP_SECONDS = 3600


class TokenRefused(Exception):
    """The token is missing, malformed, forged, expired, or from elsewhere."""


class Keys:
    """The issuer's published keys (JWKS), kept for an hour, read again for an unknown key id."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._keys: dict[str | None, Any] = {}
        self._read_at = float("-inf")

    def find(self, key_id: str | None) -> Any:
        """The key, or TokenRefused; a flood of unknown ids costs one fetch in REFETCH_SECONDS."""
        with self._lock:
            age_seconds = time.monotonic() - self._read_at
            unknown = key_id not in self._keys
            if age_seconds > (REFETCH_SECONDS if unknown else KEEP_SECONDS):
                self._keys = _fetch(self._url)
                self._read_at = time.monotonic()
            if key_id not in self._keys:
                raise TokenRefused("unknown key")
            return self._keys[key_id]


def _fetch(url: str) -> dict[str | None, Any]:
    from urllib.request import urlopen

    import jwt

    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise TokenRefused("JWKS_URL is not set to an https address")
    with urlopen(url, timeout=5) as answer:  # noqa: S310  the scheme was checked above
        published = jwt.PyJWKSet.from_json(answer.read().decode())
    return {key.key_id: key for key in published.keys}


@cache
def _keys(url: str) -> Keys:
    return Keys(url)


def caller_of(authorization: str) -> Caller:
    """Who sent this Authorization header. Raises TokenRefused for anything but a valid token."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefused("not a bearer token")
    return _caller(_claims(token.strip()))


def _claims(token: str) -> dict[str, Any]:
    import jwt

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
    named = claims.get(settings.audience_claim)
    if settings.audience not in (named if isinstance(named, list) else [named]):
        raise TokenRefused("wrong audience")
    return dict(claims)


def _caller(claims: dict[str, Any]) -> Caller:
    role = claims.get(settings.role_claim)
    if role not in ROLES:
        raise TokenRefused("no role")
    email = claims.get("email") if claims.get("email_verified") is True else ""
    return Caller(
        subject=str(claims["sub"]),
        role=role,
        tenant_id=str(claims.get(settings.tenant_claim) or ""),
        email=str(email or ""),
    )


def context_of(caller: Caller) -> dict[str, str]:
    """What the authorizer hands to the API function with each request."""
    return {
        "sub": caller.subject,
        "role": caller.role,
        "tenant_id": caller.tenant_id,
        "email": caller.email,
    }


def authorize(authorization: str, may_enter: Callable[[Caller], bool]) -> AuthResponse:
    """The gateway's answer for this Authorization header: all routes, none (403), or a 401.

    API Gateway answers 401 only to this very exception text of an authorizer. Which routes a role
    may use is checked beside each route, so one cached answer serves them all. `may_enter` is
    asked once the token is known to be good; when it cannot be asked, the token alone decides.
    """
    try:
        caller = caller_of(authorization)
    except TokenRefused as refused:
        telemetry.log.info("token refused", why=str(refused))
        raise Exception("Unauthorized") from refused  # noqa: TRY002  the text is the contract
    return AuthResponse(
        routes=["*"] if _entry(caller, may_enter) else [],
        principal_id=caller.subject,
        context=context_of(caller),
    )


def _entry(caller: Caller, may_enter: Callable[[Caller], bool]) -> bool:
    try:
        return may_enter(caller)
    except Exception as error:
        if not store.is_transient(error):
            raise
        telemetry.log.warning("sign-in not looked up", error=type(error).__name__)
        return True
