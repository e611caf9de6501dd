"""Transactions take a while in virtual time, and what meets one is refused.

The rules are those of the local cloud's fault `conflicts`. Actors seldom meet, since little is
written by two of them; so there are also transactions of strangers, which hold an item that a write
is about to name. Without the option nothing here draws from the seed or pauses, so the course of a
seed is what it is without this file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moto.dynamodb.models import dynamodb_backends

from infra.local import conflicts
from infra.local.conflicts import Key
from infra.local.emulator import ACCOUNT_ID, REGION
from infra.local.hooks import transaction_conflicts
from tests.simulation.calls import WRITES, Call
from tests.simulation.staleness import keys_of
from tests.simulation.world import Process

if TYPE_CHECKING:
    from tests.simulation.injection import Weather

MOST_HELD_SECONDS = 0.1
MET = "met a transaction"  #: among the things that went wrong
_STRANGER = 0  #: no thread has this number

_strangers: list[tuple[float, Key]] = []  #: when each lets go, and of what


def begin(*, are_on: bool) -> None:
    """For the run that begins: requests meet, or they do not."""
    conflicts.release([key for _, key in _strangers])
    _strangers.clear()
    conflicts.end()
    if are_on:
        conflicts.begin(0.0)  # the time is the world's


@contextmanager
def taking_time(weather: "Weather", call: Call, process: Process) -> Iterator[None]:
    """A transaction holds its items for a while, then is carried out; refusals are noted."""
    if not conflicts.is_on() or call.service != "dynamodb":
        yield
        return
    _let_strangers_in(weather, call, process)
    backend = dynamodb_backends[ACCOUNT_ID][REGION]
    keys = transaction_conflicts.keys_of(backend, call.operation, call.body)
    with transaction_conflicts.holding(keys) as holds:
        if holds:
            weather.world.pause(_some_seconds(weather))
        before = sum(conflicts.refused().values())
        yield
        if met := sum(conflicts.refused().values()) - before:
            weather.counts.faults[MET] += met
            weather.world.note(MET)
            weather.meet(call, process)


def _let_strangers_in(weather: "Weather", call: Call, process: Process) -> None:
    now, rng = weather.world.now, weather.world.random
    for over in [each for each in _strangers if each[0] <= now]:
        _strangers.remove(over)
        conflicts.release([over[1]])
    if process.spared or call.operation not in WRITES or rng.random() >= weather.rate / 4:
        return
    table, tenant, sk = rng.choice(list(keys_of(call.operation, call.body)))
    key = (table, str({"S": tenant}), str({"S": sk}))
    if conflicts.hold([key], _STRANGER):
        _strangers.append((now + _some_seconds(weather), key))


def _some_seconds(weather: "Weather") -> float:
    return weather.world.random.uniform(0, MOST_HELD_SECONDS)
