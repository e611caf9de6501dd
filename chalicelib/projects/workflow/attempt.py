"""One attempt at one step of a run: its errors, how they are reported, and its answer."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from chalicelib.kernel import telemetry
from chalicelib.kernel.errors import AppError
from chalicelib.projects.gateway import Busy, Refused
from chalicelib.projects.models import Project
from chalicelib.projects.rules import SYNC_USERS
from chalicelib.projects.workflow import completion, parking, progress, user_sync

Event = dict[str, Any]
Answer = dict[str, Any]

SECONDS = 40.0  #: the work of one invocation ends by then; its task times out after 60
OVER: Answer = {"outcome": "failed", "reason": "this run is over", "batches": [], "next": None}


class NotYet(Exception):
    """This attempt at a step failed. The text contains only the step and the kind of the error."""


class Work(msgspec.Struct, frozen=True):
    """What a step works on."""

    project: Project
    event: Event
    deadline: float  #: by time.monotonic()


Do = Callable[[Work], Answer]


def shown_step(state: str) -> str:
    """The step that people see for a state of the machine: listing is a part of syncing users."""
    return SYNC_USERS if state == "list_batches" else state


def run(event: Event, do: Do) -> Answer:
    """Does a step unless its run is over. Raises NotYet for errors that may pass by themselves.

    Neither the answer nor the error contains anything about a person, since both stay in the
    execution's history.
    """
    step = shown_step(str(event["step"]))
    try:
        project = progress.read_run(event["tenant"], event["project"], int(event["run"]))
        if parking.park_if_suspended(project):
            return dict(OVER)
        return _do(do, step, Work(project, event, time.monotonic() + SECONDS))
    except (progress.Overtaken, completion.Changed):
        telemetry.log.info("step of a run that is over", project=event["project"], step=step)
        return dict(OVER)


def _do(do: Do, step: str, work: Work) -> Answer:
    project = work.project
    try:
        return do(work)
    except (progress.Overtaken, completion.Changed):
        raise
    except Refused as refused:
        progress.note_error(project, step, str(refused))
        return {"outcome": "failed"}
    except user_sync.TryAgain as again:
        raise NotYet(f"{step}: {again}") from None
    except Exception as error:  # noqa: BLE001  the history may show only the error's kind
        is_known = isinstance(error, Busy | AppError)
        write = telemetry.log.warning if is_known else telemetry.log.exception
        write("step came to nothing", project=project.id, step=step, error=type(error).__name__)
        reason = str(error) if is_known else f"trouble: {type(error).__name__}"
        progress.note_error(project, step, reason)
        raise NotYet(f"{step}: {type(error).__name__}") from None
