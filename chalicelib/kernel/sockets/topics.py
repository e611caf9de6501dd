"""Topics of WebSockets: which there are, and who may follow them."""

from collections.abc import Callable

from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.errors import AppError

MayFollow = Callable[[Caller, str], bool]
_may_follow: dict[str, MayFollow] = {}


def topic(kind: str) -> Callable[[MayFollow], MayFollow]:
    """Registers who may follow topics `<kind>#<id>`; what nobody registered nobody may.

    The function is given the caller and the id. An AppError, such as NotFound, means no.
    """

    def register(may_follow: MayFollow) -> MayFollow:
        _may_follow[kind] = may_follow
        return may_follow

    return register


def may(caller: Caller, kind: str, wanted_id: str) -> bool:
    """Says whether the caller may follow `<kind>#<wanted_id>`."""
    try:
        return kind in _may_follow and _may_follow[kind](caller, wanted_id)
    except AppError:
        return False
