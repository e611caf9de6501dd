"""What an instance remembers of what is dear to read and may be a little old.

    def _read(region: str) -> Prices | None: ...

    _prices = Cache(_read, keep_seconds=lambda: settings.config_cache_seconds)

    prices = _prices.get("frankfurt")

A cache is shared by the threads of its instance and by nothing else: another instance may see a
change later, by `keep_seconds` at most. So a cache never holds money, nor anything else whose
change must count at once.

Billing and trainings are the coming callers of `version`. They keep a number, the version of a
tag such as "packages", in a row of the tenant, raise it in the transaction that changes a package,
and pass the number that they read to `get`. A value counts only for the version it was loaded
under, so that a change is seen by every instance as soon as it sees the new number.
"""

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MAX_ENTRIES = 10_000

_caches: "weakref.WeakSet[Cache[Any, Any]]" = weakref.WeakSet()


class _Entry(NamedTuple):
    value: Any
    loaded_at: float  #: time.monotonic()
    version: int


class Cache(Generic[K, V]):
    """Values by key, each kept for `keep_seconds()`; that is asked at every look-up.

    `load` reads the value of a key. It must not ask for the same key itself. None means that there
    is no such value, and is not kept: a record that is missing now may be created in a moment.
    Of more than `max_entries` the ones loaded first are dropped.
    """

    def __init__(
        self,
        load: Callable[[K], V],
        *,
        keep_seconds: Callable[[], float],
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self._load = load
        self._keep_seconds = keep_seconds
        self._max_entries = max_entries
        self._entries: dict[K, _Entry] = {}  #: in the order in which they were loaded
        self._loading: dict[K, threading.Event] = {}
        self._forgotten = 0  #: rises with each `forget`: what was being loaded then is not kept
        self._lock = threading.Lock()
        _caches.add(self)

    def get(self, key: K, version: int = 0) -> V:
        """The value, kept or loaded now; raises what `load` raises, and keeps nothing then.

        One thread at a time loads a key. The others wait for its value; when there is none to be
        kept, or the load failed, the next of them loads.
        """
        while True:
            with self._lock:
                entry = self._fresh_entry(key, version)
                if entry is not None:
                    value: V = entry.value
                    return value
                others_load = self._loading.get(key)
                if others_load is None:
                    loaded = self._loading[key] = threading.Event()
                    break
            others_load.wait()
        try:
            return self._load_and_keep(key, version)
        finally:
            with self._lock:
                self._loading.pop(key, None)
            loaded.set()

    def _fresh_entry(self, key: K, version: int) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None or entry.version != version:
            return None
        return entry if time.monotonic() - entry.loaded_at < self._keep_seconds() else None

    def _load_and_keep(self, key: K, version: int) -> V:
        # Taken before the read: a value counts as old as the oldest that it can be.
        loaded_at, forgotten = time.monotonic(), self._forgotten
        value = self._load(key)
        with self._lock:
            self._entries.pop(key, None)
            if value is not None and forgotten == self._forgotten:
                self._entries[key] = _Entry(value, loaded_at, version)
            while len(self._entries) > self._max_entries:
                del self._entries[next(iter(self._entries))]
        return value

    def forget(self, key: K | None = None) -> None:
        """Drops one value, or all; a value that is being loaded meanwhile is not kept either."""
        with self._lock:
            self._forgotten += 1
            if key is None:
                self._entries.clear()
            else:
                self._entries.pop(key, None)


def forget_all() -> None:
    """Empties every cache of this process."""
    for each in list(_caches):
        each.forget()
