"""Marks of a batch's jobs that end at the same time share one call.

Group commit (DeWitt et al., Implementation Techniques for Main Memory Database Systems, 1984), with
PostgreSQL's commit_delay: a mark waits a moment for others while jobs of its batch still run, and
those that end while a call is under way go together in the next. A batch of one never waits, and
no mark waits long.
"""

import threading
from collections.abc import Callable

from chalicelib.kernel.store import batch_update
from chalicelib.kernel.store.batch_update import Change

_COMPANY_SECONDS = 0.005  #: that a mark waits for others while more jobs run
_LONGEST_SECONDS = 0.5  #: that it waits for a call under way, which may hang; then it goes alone
_thread = threading.local()  #: `group`: that of the batch whose job this thread runs


class _Mark:
    def __init__(self, change: Change) -> None:
        self.change = change
        self.is_settled = False  #: nobody will try it together with others any more
        self.is_made = False


class Group:
    """The marks of a batch of `jobs`, run side by side in so many `threads`."""

    def __init__(self, jobs: int, threads: int) -> None:
        self._left, self._threads = jobs, threads
        self._changed = threading.Condition()
        self._waiting: list[_Mark] = []
        self._is_calling = False

    def join(self) -> None:
        """From here on this thread's marks are of this group."""
        _thread.group = self

    def leave(self) -> None:
        """One of the batch's jobs is through."""
        with self._changed:
            self._left -= 1
            self._tell_if_complete()

    def make(self, change: Change, alone: Callable[[], bool]) -> bool:
        """As the function `make`, in this group."""
        mark = _Mark(change)
        together = self._wait_for_turn(mark)
        if not together:
            return mark.is_made or alone()
        try:
            if together == [mark]:
                return alone()
            answers = batch_update.make([each.change for each in together])
            for each, answer in zip(together, answers, strict=True):
                each.is_made = answer is not None
        finally:
            self._settle(together)
        return mark.is_made or alone()

    def _wait_for_turn(self, mark: _Mark) -> list[_Mark]:
        """The marks to make now, this first; none when it is another's, or has waited enough."""
        with self._changed:
            self._waiting.append(mark)
            self._tell_if_complete()
            if not self._changed.wait_for(lambda: self._is_next(mark), _LONGEST_SECONDS):
                self._take([mark])
                return []
            if mark.is_settled:
                return []
            self._is_calling = True
            self._changed.wait_for(self._is_complete, _COMPANY_SECONDS)
            others = [each for each in self._waiting if each is not mark]
            return self._take([mark, *others][: batch_update.MOST])

    def _is_next(self, mark: _Mark) -> bool:
        return mark.is_settled or not self._is_calling

    def _take(self, marks: list[_Mark]) -> list[_Mark]:
        self._waiting = [each for each in self._waiting if each not in marks]
        return marks

    def _is_complete(self) -> bool:
        """Nobody is left who could still come."""
        return len(self._waiting) >= min(self._left, self._threads)

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
