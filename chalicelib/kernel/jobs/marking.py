"""Marks of a batch's jobs that end at the same time share one call.

Group commit (DeWitt et al., Implementation Techniques for Main Memory Database Systems, 1984), with
PostgreSQL's commit_delay: a mark waits a moment for others while jobs of its batch still run, and
those that end while a call is under way go together in the next. A batch of one never waits.
"""

import threading
from collections.abc import Callable

from chalicelib.kernel import changes
from chalicelib.kernel.changes import Change

_COMPANY_SECONDS = 0.005  #: that a mark waits for others while more jobs run
_thread = threading.local()  #: `group`: that of the batch whose job this thread runs


class _Mark:
    def __init__(self, change: Change) -> None:
        self.change = change
        self.is_settled = False  #: nobody will try it together with others any more
        self.is_made = False


class Group:
    """The marks of a batch of `jobs` that are run side by side."""

    def __init__(self, jobs: int) -> None:
        self._running = jobs  #: of which some may wait for their marks
        self._changed = threading.Condition()
        self._waiting: list[_Mark] = []
        self._is_calling = False

    def join(self) -> None:
        """From here on this thread's marks are of this group."""
        _thread.group = self

    def leave(self) -> None:
        """One of the batch's jobs is through."""
        with self._changed:
            self._running -= 1
            self._tell_if_complete()

    def make(self, change: Change, alone: Callable[[], bool]) -> bool:
        mark = _Mark(change)
        together = self._wait_for_turn(mark)
        try:
            if len(together) > 1:
                for each, made in zip(
                    together, changes.make([each.change for each in together]), strict=True
                ):
                    each.is_made = made is not None
            elif together:
                return alone()
        finally:
            if together:
                self._settle(together)
        return mark.is_made or alone()

    def _wait_for_turn(self, mark: _Mark) -> list[_Mark]:
        """The marks to make now, this among them; none when another thread has tried it."""
        with self._changed:
            self._waiting.append(mark)
            self._tell_if_complete()
            self._changed.wait_for(lambda: mark.is_settled or not self._is_calling)
            if mark.is_settled:
                return []
            self._is_calling = True
            self._changed.wait_for(self._is_complete, _COMPANY_SECONDS)
            together = self._waiting[: changes.MOST]
            del self._waiting[: changes.MOST]
            return together

    def _is_complete(self) -> bool:
        """Nobody is left who could still come."""
        return len(self._waiting) >= self._running

    def _tell_if_complete(self) -> None:
        if self._is_complete():
            self._changed.notify_all()

    def _settle(self, together: list[_Mark]) -> None:
        with self._changed:
            self._is_calling = False
            for each in together:
                each.is_settled = True
            self._changed.notify_all()


def make(change: Change, alone: Callable[[], bool]) -> bool:
    """Makes the change, together with others of this thread's batch that are due now.

    What a call for several does not plainly make, and a change that comes by itself, is made by
    `alone`, whose answer or error is then the answer. So `alone` may repeat what was made.
    """
    group: Group | None = getattr(_thread, "group", None)
    return group.make(change, alone) if group else alone()
