"""The authorizer's answers, remembered for as long as API Gateway remembers them.

API Gateway asks a token's authorizer once in `ttl_seconds` (300 here), whatever the route.
A refusal as 401 is not remembered.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from chalice.app import AuthRequest, AuthResponse, Chalice, ChaliceAuthorizer

Answer = AuthResponse | dict[str, Any]
_USUAL_TTL_SECONDS = 300
UNAUTHORIZED = "Unauthorized"  #: text of the exception that says 401 to API Gateway
_lock = threading.Lock()
_answers: dict[str, tuple[float, Answer]] = {}


class Failed(Exception):
    """The authorizer has raised what is no refusal: nobody knows who calls."""


def remember_answers(app: Chalice) -> None:
    """Wraps the app's authorizers; again is harmless."""
    for routes in app.routes.values():
        for route in routes.values():
            authorizer: Any = route.authorizer
            if isinstance(authorizer, ChaliceAuthorizer) and not hasattr(authorizer.func, "asks"):
                ttl = authorizer.config.ttl_seconds or _USUAL_TTL_SECONDS
                authorizer.func = _remembering(authorizer.func, ttl)


def forget() -> None:
    """As if the time of every answer were over."""
    with _lock:
        _answers.clear()


def _remembering(
    ask: Callable[[AuthRequest], Answer], ttl_seconds: float
) -> Callable[[AuthRequest], Answer]:
    def answer(request: AuthRequest) -> Answer:
        now = time.time()
        with _lock:
            until, known = _answers.get(request.token, (0.0, None))
        if known is not None and now < until:
            return known
        given = _asked(ask, request)
        with _lock:
            _answers[request.token] = (now + ttl_seconds, given)
        return given

    answer.asks = ask  # type: ignore[attr-defined]  # marks ours
    return answer


def _asked(ask: Callable[[AuthRequest], Answer], request: AuthRequest) -> Answer:
    try:
        return ask(request)
    except Exception as error:
        if str(error) == UNAUTHORIZED:
            raise
        raise Failed from error
