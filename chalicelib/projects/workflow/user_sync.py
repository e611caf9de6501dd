"""Syncing one batch of users at the provider: one connection and one log-in for all of them."""

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
from chalicelib.projects.rules import SYNC_USERS
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
_WAITS = 1  #: waits for a busy provider before the attempt counts as failed
_LONGEST_WAIT_SECONDS = 5
_LONGEST_ERROR = 300

T = TypeVar("T")


class TryAgain(Exception):
    """Some users of a batch are not settled yet, so the invocation has to be repeated."""


def sync(project: Project, first: str, last: str, deadline: float) -> int:
    """Syncs the users of a batch; returns how many of them failed for good.

    Safe to repeat and to run twice at once. Raises Overtaken, and TryAgain while there are users
    with attempts left.
    """
    waiting = user_batches.waiting_between(project, first, last)
    if profile_sync.refresh(project, waiting):
        waiting = user_batches.waiting_between(project, first, last)
    if not waiting:
        return 0
    results = list(_sync_all(project, waiting, deadline))
    left = len(waiting) - sum(result.state != "waiting" for result in results)
    if left:
        errors = [result.error for result in results if result.state == "waiting" and result.error]
        reason = errors[-1] if errors else "there was no time left"
        progress.note_error(project, SYNC_USERS, reason)
        raise TryAgain(f"{left} of {len(waiting)} users wait for another try")
    return sum(result.state == "failed" for result in results)


def _sync_all(project: Project, waiting: list[Participant], deadline: float) -> Iterator[Result]:
    """The results, which are saved; fewer than users when the provider is down or time is up."""
    ids = [part.id for part in waiting]
    known = credentials.find(str(project.tenant), project.id, ids)
    try:
        connection = provider_project.connect(project)
    except Refused as refused:
        yield from _fail_all(project, waiting, str(refused))
        return
    with connection:
        batch = _Batch(project, connection, known, deadline)
        for at in range(0, len(waiting), _SAVED_AT_ONCE):
            group = waiting[at : at + _SAVED_AT_ONCE]
            results = list(batch.work(group))
            user_batches.save(project, results)
            provider_project.count(connection, project, users=len(results))
            progress.push_current(project)
            yield from results
            if len(results) < len(group) or batch.is_down:
                return


def _fail_all(project: Project, waiting: list[Participant], why: str) -> Iterator[Result]:
    for at in range(0, len(waiting), _SAVED_AT_ONCE):
        results = [Result(part, "failed", why) for part in waiting[at : at + _SAVED_AT_ONCE]]
        user_batches.save(project, results)
        yield from results


class _Batch(msgspec.Struct):
    """One batch and its connection."""

    project: Project
    cloud: Provider
    known: dict[str, Credential]
    deadline: float
    is_down: bool = False

    def work(self, parts: list[Participant]) -> Iterator[Result]:
        """One attempt at each user, in order, while there is time and the provider is up."""
        for part in parts:
            if self.is_down or time.monotonic() >= self.deadline:
                return
            yield self._attempt(part)

    def _attempt(self, part: Participant) -> Result:
        try:
            return self._with_waits(lambda: self._sync(part))
        except Refused as refused:
            return Result(part, "failed", str(refused)[:_LONGEST_ERROR])
        except credentials.Changed:
            return Result(part, "synced")  # the row has changed, so this result is never saved
        except Busy as busy:
            self.is_down = isinstance(busy, Down)
            return self._failed(part, str(busy))
        except Exception as error:
            if isinstance(error, AppError) or failures.is_transient(error):
                raise  # the error is in our own store and says nothing about this user
            telemetry.log.exception("user not synced", project=self.project.id, user=part.id)
            return self._failed(part, f"unexpected: {type(error).__name__}")

    def _failed(self, part: Participant, error: str) -> Result:
        attempts = user_batches.attempts_of(self.project, part) + 1
        state: rules.State = "failed" if attempts >= rules.TRIES else "waiting"
        return Result(part, state, error[:_LONGEST_ERROR])

    def _with_waits(self, call: Callable[[], T]) -> T:
        """Makes the call, with a short wait when the provider is busy: most limits pass soon."""
        for _ in range(_WAITS):
            try:
                return call()
            except Busy as busy:
                seconds = max(0.1, busy.after_seconds)
                is_too_late = time.monotonic() + seconds >= self.deadline
                if is_too_late or seconds > _LONGEST_WAIT_SECONDS:
                    raise
                time.sleep(seconds)
        return call()

    def _sync(self, part: Participant) -> Result:
        if user_batches.is_leaving(self.project, part):
            return self._unlink(part)
        return self._link(part)

    def _link(self, part: Participant) -> Result:
        project_id = str(self.project.provider_project_id)
        user = self.cloud.ensure_user(part.id, part.email, part.name)
        self.cloud.ensure_grant(project_id, user.id, _role(part))

        self._ensure_credential(part, project_id, user.id)
        return Result(part, "synced", cloud_user_id=user.id)

    def _ensure_credential(self, part: Participant, project_id: str, user_id: str) -> None:
        """Makes the user's credential, or a new one in its place if one is wanted.

        The one that our row names works at every moment: the new one takes its name only once it
        is proved, and the old one is deleted after that.
        """
        row = self.known.get(part.id)
        rotates = row is not None and int(row.turn) < int(part.turn)
        left = row.old_id if row else None  #: an interrupted rotation has not deleted it
        if rotates and left:
            self.cloud.drop_credential(user_id, left)
        old = str(row.credential_id) if row and rotates else left

        def save(credential: gateway.Credential) -> gateway.Credential:
            if row and rotates:
                return credentials.save_next(part, row, credential)
            return credentials.save(part, user_id, credential)

        def proved(credential: gateway.Credential) -> None:
            credentials.promote(part, credential)

        self.cloud.rotate_credential(project_id, user_id, save, old, proved if rotates else None)
        if old:
            credentials.forget(part, old)

    def _unlink(self, part: Participant) -> Result:
        """Removes a user's credential and grant. Grants are deleted with the project itself."""
        credential = self.known.get(part.id)
        user_id = part.cloud_user_id or (credential and credential.cloud_user_id)
        if credential:
            for credential_id in credentials.ids_of(credential):
                self.cloud.drop_credential(credential.cloud_user_id, credential_id)
        if not self.project.provider_project_id:
            return Result(part, "removed")  # the project was never created, or is deleted already
        if self.project.kind != "deprovision":
            # An interrupted attempt may not have saved the id: then the user is looked up.
            user_id = user_id or self.cloud.ensure_user(part.id, part.email, part.name).id
            self.cloud.revoke_grant(self.project.provider_project_id, user_id)
        return Result(part, "removed")


def _role(part: Participant) -> gateway.Role:
    return cast("gateway.Role", part.role)
