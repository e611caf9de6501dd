"""One batch of users at the provider: one connection, one log-in, each user what is wanted."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import msgspec

from chalicelib.kernel import telemetry
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.store import failures
from chalicelib.projects import gateway, rules
from chalicelib.projects.gateway import Busy, Down, Provider, Refused
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.workflow import (
    credentials,
    profile_sync,
    progress,
    provider_project,
    user_batches,
)
from chalicelib.projects.workflow.credentials import Credential
from chalicelib.projects.workflow.user_batches import Result

_SAVED_AT_ONCE = 25
_WAITS = 1  #: for a provider that is busy, before the attempt counts as failed
_LONGEST_WAIT_SECONDS = 5
_LONGEST_ERROR = 300

T = TypeVar("T")


class TryAgain(Exception):
    """Some users of a batch are not yet what is wanted: the invocation is to be repeated."""


def sync(project: Project, first: str, last: str, deadline: float) -> int:
    """Makes each user of a batch what is wanted; how many failed for good.

    Safe to repeat and to run twice at once. Raises Overtaken, and TryAgain while there are users
    with tries left.
    """
    waiting = user_batches.waiting_between(project, first, last)
    if profile_sync.take_in(project, waiting):
        waiting = user_batches.waiting_between(project, first, last)
    if not waiting:
        return 0
    results = list(_worked(project, waiting, deadline))
    left = len(waiting) - sum(each.state != "waiting" for each in results)
    if left:
        errors = [each.error for each in results if each.state == "waiting" and each.error]
        progress.note(
            project, user_batches.STEP, errors[-1] if errors else "there was no time left"
        )
        raise TryAgain(f"{left} of {len(waiting)} users wait for another try")
    return sum(each.state == "failed" for each in results)


def _worked(project: Project, waiting: list[Participant], deadline: float) -> Iterator[Result]:
    """The results, each saved; fewer than users when the provider is down or time is over."""
    ids = [each.id for each in waiting]
    known = credentials.find(str(project.tenant), project.id, ids)
    try:
        connection = provider_project.connect(project)
    except Refused as refused:
        yield from _refused(project, waiting, str(refused))
        return
    with connection:
        batch = _Batch(project, connection, known, deadline)
        for at in range(0, len(waiting), _SAVED_AT_ONCE):
            part = waiting[at : at + _SAVED_AT_ONCE]
            results = list(batch.work(part))
            user_batches.save(project, results)
            provider_project.count(connection, project, users=len(results))
            progress.tell_again(project)
            yield from results
            if len(results) < len(part) or batch.is_down:
                return


def _refused(project: Project, waiting: list[Participant], why: str) -> Iterator[Result]:
    for at in range(0, len(waiting), _SAVED_AT_ONCE):
        results = [Result(each, "failed", why) for each in waiting[at : at + _SAVED_AT_ONCE]]
        user_batches.save(project, results)
        yield from results


class _Batch(msgspec.Struct):
    """Work over one connection."""

    project: Project
    cloud: Provider
    known: dict[str, Credential]
    deadline: float
    is_down: bool = False

    def work(self, parts: list[Participant]) -> Iterator[Result]:
        """One attempt at each, in order, while there is time and a provider."""
        for part in parts:
            if self.is_down or time.monotonic() >= self.deadline:
                return
            yield self._attempt(part)

    def _attempt(self, part: Participant) -> Result:
        try:
            return self._patiently(lambda: self._make_so(part))
        except Refused as refused:
            return Result(part, "failed", str(refused)[:_LONGEST_ERROR])
        except credentials.Changed:
            return Result(part, "synced")  # of a row that has changed, so this comes late as well
        except Busy as busy:
            self.is_down = isinstance(busy, Down)
            return self._failed(part, str(busy))
        except Exception as error:
            if isinstance(error, AppError) or failures.is_transient(error):
                raise  # our own store is in trouble: no fault of this user's
            telemetry.log.exception("user not synced", project=self.project.id, user=part.id)
            return self._failed(part, f"unexpected: {type(error).__name__}")

    def _failed(self, part: Participant, error: str) -> Result:
        tried = user_batches.attempts_of(self.project, part) + 1
        state: rules.State = "failed" if tried >= rules.TRIES else "waiting"
        return Result(part, state, error[:_LONGEST_ERROR])

    def _patiently(self, call: Callable[[], T]) -> T:
        """Waits for a provider that is busy, a little: a limit is met again soon enough."""
        for _ in range(_WAITS):
            try:
                return call()
            except Busy as busy:
                seconds = max(0.1, busy.after_seconds)
                late = time.monotonic() + seconds >= self.deadline
                if late or seconds > _LONGEST_WAIT_SECONDS:
                    raise
                time.sleep(seconds)
        return call()

    def _make_so(self, part: Participant) -> Result:
        if user_batches.is_going(self.project, part):
            return self._unlink(part)
        return self._link(part)

    def _link(self, part: Participant) -> Result:
        project_id = str(self.project.provider_project_id)
        user = self.cloud.ensure_user(part.id, part.email, part.name)
        self.cloud.ensure_grant(project_id, user.id, _role(part))

        def keep(made: gateway.Credential) -> gateway.Credential:
            return credentials.save(part, user.id, made)

        self.cloud.rotate_credential(project_id, user.id, keep, None)
        return Result(part, "synced", cloud_user_id=user.id)

    def _unlink(self, part: Participant) -> Result:
        """Takes away what somebody has. Grants go with the project when all is undone."""
        before = self.known.get(part.id)
        user_id = part.cloud_user_id or (before and before.cloud_user_id)
        if before:
            self.cloud.drop_credential(before.cloud_user_id, before.credential_id)
        if not self.project.provider_project_id:
            return Result(part, "removed")  # never made, or gone in an earlier run that failed
        if self.project.kind != "deprovision":
            # An attempt may have broken off before its result was saved: then they are looked up.
            user_id = user_id or self.cloud.ensure_user(part.id, part.email, part.name).id
            self.cloud.revoke_grant(self.project.provider_project_id, user_id)
        return Result(part, "removed")


def _role(part: Participant) -> gateway.Role:
    return cast("gateway.Role", part.role)
