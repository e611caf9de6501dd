"""The steps of the workflow `infra/statemachines/provision-project.asl.json`, one function each.

Every step is safe to repeat and to run twice at the same time. A step raises an error that may pass
by itself, and the workflow tries it again; it answers `failed` for one that will not. The workflow
does not look at the names of errors, which differ between emulators. A step of a run that is over
does nothing and answers so.
"""

from chalicelib.projects.workflow import (
    attempt,
    completion,
    participants,
    provider_project,
    reconciler,
    user_batches,
    user_sync,
)
from chalicelib.projects.workflow.attempt import Answer, Do, Event, Work

reconcile = reconciler.reconcile


def run(event: Event) -> Answer:
    """Runs the step that the event names, and answers with its outcome."""
    return attempt.run(event, STEPS[str(event["step"])])


def ensure_project(work: Work) -> Answer:
    """The project exists at the provider."""
    provider_project.ensure(work.project)
    return {"outcome": "ok"}


def attach_participants(work: Work) -> Answer:
    """Everyone who takes part has a row; `more` when there was no time for all of them."""
    more = participants.attach(work.project, work.deadline)
    return {"outcome": "more" if more else "ok"}


def list_batches(work: Work) -> Answer:
    """One page of batches of the users who are not settled yet."""
    page = user_batches.list_page(work.project, work.event.get("next"))
    return {"outcome": "ok", "batches": page.batches, "next": page.next}


def sync_users(work: Work) -> Answer:
    """Each user of one batch is synced or removed, or has failed for a reason."""
    failed = user_sync.sync(work.project, work.event["from"], work.event["to"], work.deadline)
    return {"outcome": "ok", "failed": failed}


def delete_project(work: Work) -> Answer:
    """The project is gone at the provider."""
    provider_project.delete(work.project)
    return {"outcome": "ok"}


def finish(work: Work) -> Answer:
    """The run has ended, well or not; `more` when there were new requests meanwhile."""
    return {"outcome": completion.finish(work.project)}


def record_failure(work: Work) -> Answer:
    """The run has failed at the step that the event names."""
    completion.fail(work.project, attempt.shown_step(str(work.event["failed_step"])), None)
    return {"outcome": "ok"}


STEPS: dict[str, Do] = {
    "ensure_project": ensure_project,
    "attach_participants": attach_participants,
    "list_batches": list_batches,
    "sync_users": sync_users,
    "delete_project": delete_project,
    "finish": finish,
    "record_failure": record_failure,
}
