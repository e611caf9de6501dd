"""Transactions that meet, for the fault `conflicts` of faults.py.

DynamoDB refuses a request for an item that is in somebody else's transaction at the moment. moto
carries requests out one at a time and in no time, so they never meet. With the fault on, a
transaction takes a while and holds all items that it names meanwhile. What meets it is refused by
hooks/transaction_conflicts.py.

A transaction that meets another one is refused at once and holds nothing. A plain write holds
nothing either, so two of them never meet.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
"""

import threading
from collections import Counter
from collections.abc import Collection
from typing import Any

HOLD_SECONDS = 0.015

Key = tuple[Any, ...]  #: a table's name and the values of an item's key

_held: dict[Key, int] = {}  # key of an item -> the thread whose transaction holds it
_refused: Counter[str] = Counter()
_seconds: float | None = None


def begin(hold_seconds: float = HOLD_SECONDS) -> None:
    """From here on every transaction holds its items for so long, in real time."""
    global _seconds  # noqa: PLW0603  # there is one DynamoDB in a process
    _seconds = hold_seconds


def end() -> None:
    """Nothing meets any more; the count begins anew."""
    global _seconds  # noqa: PLW0603
    _seconds = None
    _refused.clear()


def is_on() -> bool:
    return _seconds is not None


def hold_seconds() -> float:
    return _seconds or 0.0


def hold(keys: Collection[Key], holder: int | None = None) -> bool:
    """Holds the items for this thread, or for `holder`, which may be any number.

    Returns False, and then holds none of them, if one is held already. This and the other functions
    on items are called under the lock of corrections/dynamodb.py.
    """
    if not keys or any(key in _held for key in keys):
        return False
    _held.update(dict.fromkeys(keys, threading.get_ident() if holder is None else holder))
    return True


def release(keys: Collection[Key]) -> None:
    for key in keys:
        _held.pop(key, None)


def is_held(key: Key) -> bool:
    """True while a transaction of another thread holds the item and the fault is on."""
    return is_on() and _held.get(key, threading.get_ident()) != threading.get_ident()


def count(operation: str) -> None:
    """Counts a call, or a statement or item of a batch, that was refused."""
    _refused[operation] += 1


def refused() -> dict[str, int]:
    """How much was refused since the fault was added, by `dynamodb.operation`."""
    return {f"dynamodb.{name}": number for name, number in sorted(dict(_refused).items())}
