"""Group commit: marks of jobs that end at about the same time share one call.

As in DeWitt et al., Implementation Techniques for Main Memory Database Systems, 1984, and with
PostgreSQL's `commit_delay`: a mark waits a moment for others while jobs of its group still run, and
marks that arrive while a call is under way go together in the next one. A job that is alone never
waits, and no mark waits long.
"""

import threading

from chalicelib.kernel.store import batch_update
from chalicelib.kernel.store.batch_update import ConditionalUpdate

_GATHER_SECONDS = 0.005  #: wait for further marks while more jobs run
#: Longest wait for a call that is under way, since it may hang; after it the mark goes alone.
_MAX_WAIT_SECONDS = 0.5


class _Mark:
    def __init__(self, update: ConditionalUpdate) -> None:
        self.update = update
        self.is_settled = False  #: a shared call that included it is over
        self.is_made = False  #: that call is known to have made the update


class Group:
    """The marks of `jobs` jobs that run side by side in `threads` threads."""

    def __init__(self, jobs: int, threads: int) -> None:
        self._running_jobs, self._threads = jobs, threads
        self._changed = threading.Condition()
        self._waiting: list[_Mark] = []
        self._is_calling = False

    def leave(self) -> None:
        """Counts one of the group's jobs as ended; it will add no mark."""
        with self._changed:
            self._running_jobs -= 1
            self._notify_if_complete()

    def commit(self, update: ConditionalUpdate) -> bool:
        """Makes the update, together with others of this group that are due now.

        False when its condition did not hold. An update that the shared call is not known to have
        made is made alone, and that answer or error counts; so it must be safe to make twice.
        """
        mark = _Mark(update)
        marks = self._wait_for_turn(mark)
        if not marks:
            return mark.is_made or batch_update.execute_alone(update)
        try:
            if marks == [mark]:
                return batch_update.execute_alone(update)
            rows = batch_update.execute([other.update for other in marks])
            for other, row in zip(marks, rows, strict=True):
                other.is_made = row is not None
        finally:
            self._settle(marks)
        return mark.is_made or batch_update.execute_alone(update)

    def _wait_for_turn(self, mark: _Mark) -> list[_Mark]:
        """The marks that this thread must make in one call now, its own first.

        Empty when another thread's call included this mark, or when the longest wait is over.
        """
        with self._changed:
            self._waiting.append(mark)
            self._notify_if_complete()
            if not self._changed.wait_for(lambda: self._is_next(mark), _MAX_WAIT_SECONDS):
                self._take([mark])
                return []
            if mark.is_settled:
                return []
            self._is_calling = True
            self._changed.wait_for(self._is_complete, _GATHER_SECONDS)
            others = [other for other in self._waiting if other is not mark]
            return self._take([mark, *others][: batch_update.MAX_STATEMENTS])

    def _is_next(self, mark: _Mark) -> bool:
        return mark.is_settled or not self._is_calling

    def _take(self, marks: list[_Mark]) -> list[_Mark]:
        self._waiting = [mark for mark in self._waiting if mark not in marks]
        return marks

    def _is_complete(self) -> bool:
        """True when no running job is left that could add a mark."""
        return len(self._waiting) >= min(self._running_jobs, self._threads)

    def _notify_if_complete(self) -> None:
        if self._is_complete():
            self._changed.notify_all()

    def _settle(self, marks: list[_Mark]) -> None:
        with self._changed:
            self._is_calling = False
            for mark in marks:
                mark.is_settled = True
            self._changed.notify_all()
