"""Caches the authorizer's answers as API Gateway does.

API Gateway keeps an authorizer's answer to a token for `ttl_seconds` (300 by default) and uses it
for all routes. It does not keep a 401.
https://docs.aws.amazon.com/apigateway/latest/developerguide/configure-api-gateway-lambda-authorization.html
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from chalice.app import AuthRequest, AuthResponse, Chalice, ChaliceAuthorizer

from infra.local import environment, invocation

Answer = AuthResponse | dict[str, Any]
_DEFAULT_TTL_SECONDS = 300
UNAUTHORIZED = "Unauthorized"  #: text of the exception that API Gateway turns into a 401
_lock = threading.Lock()
_answers: dict[str, tuple[float, Answer]] = {}


class AuthorizerFailed(Exception):
    """The authorizer raised something other than a refusal; API Gateway answers 500."""


def cache_answers(app: Chalice) -> None:
    """Wraps the app's authorizers; wrapping them twice is harmless."""
    for routes in app.routes.values():
        for route in routes.values():
            authorizer: Any = route.authorizer
            if isinstance(authorizer, ChaliceAuthorizer) and not hasattr(
                authorizer.func, "wrapped"
            ):
                ttl = authorizer.config.ttl_seconds
                ttl = _DEFAULT_TTL_SECONDS if ttl is None else ttl
                name = f"{app.app_name}-{environment.STAGE}-{authorizer.name}"
                authorizer.func = _caching(authorizer.func, name, ttl)


def forget() -> None:
    """Empties the cache."""
    with _lock:
        _answers.clear()


def _caching(
    authorizer: Callable[[AuthRequest], Answer], function_name: str, ttl_seconds: float
) -> Callable[[AuthRequest], Answer]:
    def answer(request: AuthRequest) -> Answer:
        now = time.time()
        with _lock:
            until, cached = _answers.get(request.token, (0.0, None))
        if cached is not None and now < until:
            return cached
        with invocation.of(function_name):
            fresh = _call(authorizer, request)
        with _lock:
            _answers[request.token] = (now + ttl_seconds, fresh)
        return fresh

    answer.wrapped = authorizer  # type: ignore[attr-defined]  # seen by `cache_answers`
    return answer


def _call(authorizer: Callable[[AuthRequest], Answer], request: AuthRequest) -> Answer:
    try:
        return authorizer(request)
    except Exception as error:
        if str(error) == UNAUTHORIZED:
            raise
        raise AuthorizerFailed from error
