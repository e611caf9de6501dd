"""Transactions take a while in virtual time, and what meets one is refused.

The rules are those of the local cloud's fault `conflicts`. Actors seldom meet, since they write
few items in common. So there are also transactions of strangers, which hold an item that a write is
about to name. Without the option `--conflicts` nothing here draws from the seed or pauses, so a
seed takes the course that it took before there was this file.
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
MET = "met a transaction"  #: its name among the faults that are counted
_STRANGER = 0  #: no thread has this number

_strangers: list[tuple[float, Key]] = []  #: until when a stranger holds which item
_without_answer: set[Process] = set()  #: those whose last transaction had none


def begin(*, are_on: bool) -> None:
    """Begins a run, in which requests meet or do not."""
    conflicts.release([key for _, key in _strangers])
    _strangers.clear()
    _without_answer.clear()
    conflicts.end()
    if are_on:
        conflicts.begin(0.0)  # the time is the world's


def after_a_lost_answer(call: Call, process: Process, fault: str | None) -> str | None:
    """What happens to the call: a transaction that had no answer meets another at its repeat."""
    if not conflicts.is_on() or call.operation != "TransactWriteItems":
        return fault
    if process in _without_answer:
        _without_answer.discard(process)
        return fault or "other"
    if fault == "answer lost":
        _without_answer.add(process)
    return fault


@contextmanager
def taking_time(weather: "Weather", call: Call, process: Process) -> Iterator[None]:
    """Lets a transaction hold its items for a while before the call; counts what is refused."""
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
    for ended in [stranger for stranger in _strangers if stranger[0] <= now]:
        _strangers.remove(ended)
        conflicts.release([ended[1]])
    if process.spared or call.operation not in WRITES or rng.random() >= weather.rate / 4:
        return
    table, tenant, sk = rng.choice(list(keys_of(call.operation, call.body)))
    key = (table, str({"S": tenant}), str({"S": sk}))
    if conflicts.hold([key], _STRANGER):
        _strangers.append((now + _some_seconds(weather), key))


def _some_seconds(weather: "Weather") -> float:
    return weather.world.random.uniform(0, MOST_HELD_SECONDS)
