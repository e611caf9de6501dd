"""Topics of WebSockets: their kinds, and who may follow them."""

from collections.abc import Callable

from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.errors import AppError

MayFollow = Callable[[Caller, str], bool]
_may_follow: dict[str, MayFollow] = {}


def topic(kind: str) -> Callable[[MayFollow], MayFollow]:
    """Registers a function that decides who may follow the topics `<kind>#<id>`.

    It is called with the caller and the id. An AppError such as NotFound means no. Nobody may
    follow topics of a kind that is not registered.
    """

    def register(decide: MayFollow) -> MayFollow:
        _may_follow[kind] = decide
        return decide

    return register


def may_follow(caller: Caller, kind: str, topic_id: str) -> bool:
    """True when the caller may follow the topic `<kind>#<topic_id>`."""
    try:
        return kind in _may_follow and _may_follow[kind](caller, topic_id)
    except AppError:
        return False
