"""Topics of WebSockets: their kinds, and who may follow them.

    @topic("project")                                          in chalicelib/projects/topics.py
    def may_follow(caller: Caller, project_id: str) -> bool: ...

The manifest names the module of each kind, which is imported when a topic of it is first followed.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from chalicelib import manifest
from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.errors import AppError

MayFollow = Callable[[Caller, str], bool]
Among = Callable[[Sequence[Caller], str], Sequence[Caller]]
_may_follow: dict[str, MayFollow] = {}
_among: dict[str, Among] = {}


def topic(kind: str, among: Among | None = None) -> Callable[[MayFollow], MayFollow]:
    """Registers a function that decides who may follow the topics `<kind>#<id>`.

    It is called with the caller and the id. An AppError such as NotFound means no. Nobody may
    follow topics of a kind that is not registered. `among` decides the same for up to 200 followers
    in few calls, before each push: it is called with the callers and the id, and returns those who
    still may. Without it every follower is asked for alone.
    """

    def register(decide: MayFollow) -> MayFollow:
        _may_follow[kind] = decide
        _among[kind] = among or partial(_one_by_one, decide)
        return decide

    return register


def _one_by_one(decide: MayFollow, callers: Sequence[Caller], topic_id: str) -> Sequence[Caller]:
    return [caller for caller in callers if _is_allowed(decide, caller, topic_id)]


def _is_allowed(decide: MayFollow, caller: Caller, topic_id: str) -> bool:
    try:
        return decide(caller, topic_id)
    except AppError:
        return False


def declared() -> Mapping[str, MayFollow]:
    """Who decides, by kind, in all modules that are imported."""
    return _may_follow


def may_follow(caller: Caller, kind: str, topic_id: str) -> bool:
    """True when the caller may follow the topic `<kind>#<topic_id>`."""
    _load(kind)
    return kind in _may_follow and _is_allowed(_may_follow[kind], caller, topic_id)


def who_may_hear(kind: str, topic_id: str, callers: Sequence[Caller]) -> Sequence[Caller]:
    """Those of the followers of the topic who may still follow it."""
    _load(kind)
    return _among[kind](callers, topic_id) if callers and kind in _among else []


def _load(kind: str) -> None:
    module = dict(manifest.TOPICS).get(kind)
    if kind not in _may_follow and module:
        importlib.import_module(module)
