"""Topics of WebSockets: their kinds, and who may follow them.

    @topic("project")                                          in chalicelib/projects/topics.py
    def may_follow(caller: Caller, project_id: str) -> bool: ...

The manifest names the module of each kind, which is imported when a topic of it is first followed.
"""

import importlib
from collections.abc import Callable, Mapping

from chalicelib import manifest
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


def declared() -> Mapping[str, MayFollow]:
    """Who decides, by kind, in all modules that are imported."""
    return _may_follow


def may_follow(caller: Caller, kind: str, topic_id: str) -> bool:
    """True when the caller may follow the topic `<kind>#<topic_id>`."""
    decide = _find(kind)
    try:
        return decide is not None and decide(caller, topic_id)
    except AppError:
        return False


def _find(kind: str) -> MayFollow | None:
    module = dict(manifest.TOPICS).get(kind)
    if kind not in _may_follow and module:
        importlib.import_module(module)
    return _may_follow.get(kind)
