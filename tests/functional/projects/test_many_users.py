"""Thousands of users in one project: pages of batches, a bounded history, a known cost."""

import time
from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller
from tests.functional.projects import workflow as projects
from tests.functional.projects.sizes import Sizes, in_sizes
from tests.functional.projects.workflow import Workflow, created, people, status

USERS = 5_000
MOST_EVENTS = 10_000  #: of 25,000 that an execution's history may have
#: AWS's prices of 2026 in us-east-1, in dollars.
TRANSITION = 25 / 1_000_000
WRITE_UNIT, READ_UNIT = 0.625 / 1_000_000, 0.125 / 1_000_000
GB_SECOND, INVOCATION = 0.0000166667, 0.2 / 1_000_000
SECONDS_OF_A_CALL = 0.1  #: at a provider
MOST_DOLLARS = 0.20  #: for a project with 5,000 users


@in_sizes
def test_two_pages_of_batches_are_worked(
    cloud: LocalCloud, manager: Caller, workflow: Workflow, sizes: Sizes
) -> None:
    page, more = sizes.batch * sizes.batches, sizes.batch * 2
    people(page + more)
    project_id = created(manager)
    cloud.run_until_idle()

    shown = status(manager, project_id)
    assert shown["status"] == "active"
    assert shown["progress"]["users"] == {
        "total": page + more,
        "synced": page + more,
        "failed": 0,
    }
    assert workflow.steps()["list_batches"] == 2
    assert workflow.steps()["sync_users"] == sizes.batches + 2


@pytest.mark.slow
def test_five_thousand_users(cloud: LocalCloud, manager: Caller, workflow: Workflow) -> None:
    people(USERS)
    project_id = created(manager)
    calls, began = projects.provider_calls(), time.monotonic()
    cloud.run_until_idle()

    shown = status(manager, project_id)
    assert shown["progress"]["users"] == {"total": USERS, "synced": USERS, "failed": 0}
    assert shown["status"] == "active"
    assert (projects.provider_calls() - calls) / USERS <= 3.01
    events = history(manager, project_id)
    assert len(events) < MOST_EVENTS
    spent = dollars(len([each for each in events if "StateEntered" in each["type"]]), workflow)
    assert spent < MOST_DOLLARS, (spent, time.monotonic() - began)


def dollars(transitions: int, workflow: Workflow) -> float:
    """What the run costs by its transitions, invocations and writes, without the free tier.

    A user is a row made (two units, in a transaction) and changed (two), and a credential (one);
    reading everyone three times over is a unit for a few of them.
    """
    writes, reads = USERS * 5 + 1_000, USERS
    seconds = USERS * 3 * SECONDS_OF_A_CALL
    computing = 0.5 * seconds * GB_SECOND + len(workflow.calls) * INVOCATION
    return transitions * TRANSITION + writes * WRITE_UNIT + reads * READ_UNIT + computing


def history(manager: Caller, project_id: str) -> list[dict[str, Any]]:
    states = aws.client("stepfunctions")
    (machine,) = states.list_state_machines()["stateMachines"]
    arn = machine["stateMachineArn"].replace(":stateMachine:", ":execution:")
    pages = states.get_paginator("get_execution_history").paginate(
        executionArn=f"{arn}:{project_id}-1"
    )
    return [event for page in pages for event in page["events"]]
