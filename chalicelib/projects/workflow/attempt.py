"""One attempt at one step of a run: whose it is, how its trouble is told, what is answered."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from chalicelib.kernel import telemetry
from chalicelib.kernel.errors import AppError
from chalicelib.projects.gateway import Busy, Refused
from chalicelib.projects.models import Project
from chalicelib.projects.workflow import completion, progress, user_batches, user_sync

Event = dict[str, Any]
Answer = dict[str, Any]

SECONDS = 40.0  #: of work in one invocation, whose task may take 60
OVER: Answer = {"outcome": "failed", "reason": "this run is over", "batches": [], "next": None}


class NotYet(Exception):
    """This attempt at a step came to nothing. The text names step and kind of trouble only."""


class Work(msgspec.Struct, frozen=True):
    """What a step is given."""

    project: Project
    event: Event
    deadline: float  #: of time.monotonic()


Do = Callable[[Work], Answer]


def shown(step: str) -> str:
    """The step as people see it: listing the users is part of syncing them."""
    return user_batches.STEP if step == "list_batches" else step


def make(event: Event, do: Do) -> Answer:
    """Does a step unless its run is over. Raises NotYet for what may pass by itself.

    Neither answer nor error holds anything about a person: both stay in the execution's history.
    """
    step = shown(str(event["step"]))
    try:
        project = progress.read_run(event["tenant"], event["project"], int(event["run"]))
        return _tried(do, step, Work(project, event, time.monotonic() + SECONDS))
    except (progress.Overtaken, completion.Changed):
        telemetry.log.info("step of a run that is over", project=event["project"], step=step)
        return dict(OVER)


def _tried(do: Do, step: str, work: Work) -> Answer:
    project = work.project
    try:
        return do(work)
    except (progress.Overtaken, completion.Changed):
        raise
    except Refused as refused:
        progress.note(project, step, str(refused))
        return {"outcome": "failed"}
    except user_sync.TryAgain as again:
        raise NotYet(f"{step}: {again}") from None
    except Exception as error:  # noqa: BLE001  whatever it was, the history gets its kind only
        known = isinstance(error, Busy | AppError)
        write = telemetry.log.warning if known else telemetry.log.exception
        write("step came to nothing", project=project.id, step=step, error=type(error).__name__)
        progress.note(project, step, str(error) if known else f"trouble: {type(error).__name__}")
        raise NotYet(f"{step}: {type(error).__name__}") from None
