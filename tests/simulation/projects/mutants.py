"""chalicelib.projects with one safeguard taken out, to see that the simulation notices.

`KILLERS` holds for each mutant seeds that a search has found to catch it; the first is tried first.
"""

import contextlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.kernel import aws
from chalicelib.kernel.auth import vault
from chalicelib.projects import gateway, steps
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.workflow import (
    completion,
    credentials,
    progress,
    runs,
    user_batches,
    user_sync,
)
from chalicelib.projects.workflow.credentials import Credential
from chalicelib.projects.workflow.user_batches import Result
from tests.simulation.mutants import Mutation
from tests.simulation.projects import connections


def _no_count_at_the_end() -> AbstractContextManager[Any]:
    """A run that has come to its end has ended well."""
    return patch.object(completion.Count, "add", lambda *_: None)


def _no_look_for_requests() -> AbstractContextManager[Any]:
    """What was asked for while a run was at work is left to the next one."""
    usual = completion.Counted
    return patch.multiple(
        completion,
        _has_new_requests=lambda _: False,
        Counted=lambda actions, _: usual(actions, Project.sk.exists()),
    )


def _execution_not_named_by_its_run() -> AbstractContextManager[Any]:
    return patch.object(runs, "execution_name", lambda project: project.id)


def _no_reconciler() -> AbstractContextManager[Any]:
    return patch.object(steps, "reconcile", lambda: 0)


def _runs_of_anybody() -> AbstractContextManager[Any]:
    """What belongs to a run that is over changes the project all the same."""
    return patch.object(progress, "current_run", lambda _: Project.sk.exists())


def _mark_before_the_provider() -> AbstractContextManager[Any]:
    """Users are told to be synced, and then they are."""
    usual = user_sync._Batch._attempt

    def attempt(batch: Any, part: Participant) -> Result:
        if not user_batches.is_leaving(batch.project, part):
            user_batches.save(batch.project, [Result(part, "synced")])
        return usual(batch, part)

    return patch.object(user_sync._Batch, "_attempt", attempt)


@contextlib.contextmanager
def _lost_answer_is_a_failure() -> Iterator[None]:
    """A lost answer, and a workflow that an earlier try has started, count as a failed start."""
    usual = runs.start
    sees_no_code = SimpleNamespace(
        client=aws.client, ServiceError=aws.ServiceError, code_of=lambda _: ""
    )

    def start(tenant_id: str, project_id: str, run: int) -> str:
        try:
            return usual(tenant_id, project_id, run)
        except (BotoCoreError, ClientError):
            project = progress.read_run(tenant_id, project_id, run)
            completion.fail(project, "ensure_project", "the workflow could not be started")
            return ""

    with patch.object(runs, "aws", sees_no_code), patch.object(runs, "start", start):
        yield


def _credential_of_each_attempt() -> AbstractContextManager[Any]:
    """Each attempt at a user keeps a credential of its own."""

    def save(
        part: Participant, cloud_user_id: str, credential: gateway.Credential
    ) -> gateway.Credential:
        tenant_id, key = str(part.tenant), credentials._key(part.project_id, part.id)
        secret = json.dumps({"access": credential.access, "secret": credential.secret})
        Credential(
            tenant_id,
            key,
            credential_id=credential.id,
            cloud_user_id=cloud_user_id,
            sealed=vault.seal(credentials._label(tenant_id, key), secret),
            created_at="",
        ).save()
        return credential

    return patch.object(credentials, "save", save)


def _steps_begun_from_old_rows() -> AbstractContextManager[Any]:
    """Of two attempts at a step the later one writes what it read before the other."""
    return patch.object(progress, "row_unchanged", lambda *_: Project.sk.exists())


def _floor_by_old_counts() -> AbstractContextManager[Any]:
    """A step that is begun again keeps the percentage where it was when its row was read."""
    return patch.object(progress, "counts_unchanged", lambda _: Project.sk.exists())


def _unknown_is_never_made() -> AbstractContextManager[Any]:
    """A project of which we know no id is not looked for at its provider."""
    return patch.multiple(
        "tests.simulation.projects.connections",
        Derived=type("Derived", (connections.Derived,), {"find_project": lambda *_: None}),
        LookedUp=type("LookedUp", (connections.LookedUp,), {"find_project": lambda *_: None}),
    )


def _old_credential_goes_first() -> AbstractContextManager[Any]:
    """In a rotation the old credential is deleted before the new one is proved and stored."""
    usual = user_sync._Batch._ensure_credential

    def ensure(batch: Any, part: Participant, project_id: str, user_id: str) -> None:
        row = batch.known.get(part.id)
        if row and int(row.turn) < int(part.turn):
            batch.cloud.drop_credential(user_id, str(row.credential_id))
        usual(batch, part, project_id, user_id)

    return patch.object(user_sync._Batch, "_ensure_credential", ensure)


MUTANTS: dict[str, Mutation] = {
    "no-count-at-the-end": _no_count_at_the_end,
    "no-look-for-requests": _no_look_for_requests,
    "execution-not-named-by-its-run": _execution_not_named_by_its_run,
    "no-reconciler": _no_reconciler,
    "runs-of-anybody": _runs_of_anybody,
    "mark-before-the-provider": _mark_before_the_provider,
    "lost-answer-is-a-failure": _lost_answer_is_a_failure,
    "credential-of-each-attempt": _credential_of_each_attempt,
    "steps-begun-from-old-rows": _steps_begun_from_old_rows,
    "floor-by-old-counts": _floor_by_old_counts,
    "unknown-is-never-made": _unknown_is_never_made,
    "old-credential-goes-first": _old_credential_goes_first,
}

KILLERS: dict[str, tuple[int, ...]] = {
    "floor-by-old-counts": (8,),
    "unknown-is-never-made": (19,),
    "old-credential-goes-first": (70,),
    "no-count-at-the-end": (2,),
    "no-look-for-requests": (9,),
    "execution-not-named-by-its-run": (2,),
    "no-reconciler": (26,),
    "runs-of-anybody": (2,),
    "mark-before-the-provider": (1,),
    "lost-answer-is-a-failure": (16,),
    "credential-of-each-attempt": (41,),
    "steps-begun-from-old-rows": (3,),
}
