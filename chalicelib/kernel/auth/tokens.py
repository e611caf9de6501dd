"""Bearer tokens: who calls, checked against the issuer's published keys.

The authorizer is a Lambda function of its own, so that JWT and cryptography stay out of the API
function's cold start; API Gateway caches its answer. A token is accepted only if it is signed by
one of the issuer's keys with an allowed algorithm, names the right issuer and audience, and has not
expired (RFC 7519, RFC 8725).
"""

import json
import threading
import time
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.request import urlopen

import jwt
from chalice.app import AuthResponse

from chalicelib.kernel import telemetry
from chalicelib.kernel.auth import identity
from chalicelib.kernel.auth.tenancy import ROLES, Caller
from chalicelib.kernel.settings import settings

#: The least time between two requests for the issuer's keys, whatever key ids tokens name.
REFETCH_SECONDS = 10
RETRY_SECONDS = 1  #: the least time while no keys are known
KEEP_SECONDS = 3600
FETCH_SECONDS = 5  #: the issuer has this long to answer
LONGEST_SUBJECT = 255  #: characters (OpenID Connect Core, section 2)


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

    Raises TokenRefused when no role is among the claims, or a claim is no text that can be kept.
    """
    claimed = _listed(claims, settings.role_claim)
    role = next((role for role in ROLES if role in claimed), None)
    if role is None:
        raise TokenRefused("no role")
    # Some issuers write their booleans as words.
    email = claims.get("email") if claims.get("email_verified") in (True, "true") else ""
    home = _text(claims.get(settings.tenant_claim))
    return Caller(
        subject=_subject(claims),
        role=role,
        tenant_id=home,
        email=_text(email),
        home=home,
        claimed_id=_text(claims.get(settings.user_claim)) if settings.user_claim else "",
    )


def _subject(claims: dict[str, Any]) -> str:
    subject = _text(claims["sub"])
    if not 0 < len(subject) <= LONGEST_SUBJECT:
        raise TokenRefused("no subject, or one that is too long")
    return subject


def _text(claim: Any) -> str:
    """A claim as text, empty for none. Raises TokenRefused for half of a character (RFC 8259)."""
    text = str(claim or "")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TokenRefused("a claim holds half of a character") from error
    return text


def context_of(caller: Caller, expires_at: int, *, is_admitted: bool) -> dict[str, str]:
    """What the authorizer hands to the API function with each request.

    The token's expiry is among it, since the gateway repeats this answer even after the token has
    expired.
    """
    return {
        "exp": str(expires_at),
        "sub": caller.subject,
        "role": caller.role,
        "tenant_id": caller.home,
        "email": caller.email,
        "user_id": caller.user_id,
        "claimed_id": caller.claimed_id,
        "is_admitted": "true" if is_admitted else "false",
    }


def authorize(authorization: str) -> AuthResponse:
    """The authorizer's answer: access to all routes, or the error that means 401.

    API Gateway answers 401 only to an error with exactly this text. To every other error, such as
    the store's, it answers 503, and it keeps neither. Each route checks roles itself, so one kept
    answer serves all routes. A login without access is not refused here, where the refusal would
    be kept, but by the routes, which ask again.
    """
    try:
        claims = claims_of(authorization)
        caller = caller_of(claims)
    except TokenRefused as refused:
        telemetry.log.info("token refused", why=str(refused))
        raise Exception("Unauthorized") from refused  # noqa: TRY002  the text is the contract
    standing = identity.stand(caller)
    if standing.state == "unknown":
        _warn_of_nameless(caller)
        identity.note_unknown(caller)
    admitted = identity.admitted(caller, standing)
    context = context_of(admitted or caller, int(claims["exp"]), is_admitted=admitted is not None)
    return AuthResponse(routes=["*"], principal_id=caller.subject, context=context)


@cache
def _warn_once(issuer: str) -> None:
    telemetry.log.warning(
        "tokens name nobody", issuer=issuer, why="neither a verified e-mail address nor USER_CLAIM"
    )


def _warn_of_nameless(caller: Caller) -> None:
    """Says, once in an instance, that logins are bound by accepting while signed in only."""
    if caller.home and not caller.email and not caller.claimed_id:
        _warn_once(settings.issuer)
