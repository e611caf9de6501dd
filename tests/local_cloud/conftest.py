"""Fixtures of two kinds: parts of the local cloud in this process, and whole programs.

For the parts, every test has its own AWS account, so that it does not see what others have left.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from boto3 import Session

from infra.local import clock, emulator, faults
from tests import accounts
from tests.local_cloud.programs import Cloud, Program, cloud_of, run
from tests.local_cloud.stage import Held, Stage
from tests.local_cloud.world import RECEIVES, VISIBILITY_SECONDS, World

NewAccount = Callable[[str], Session]
_numbers = itertools.count(700_000_000_001)


@pytest.fixture(scope="session")
def new_account() -> Iterator[NewAccount]:
    """Enters the account of a number."""
    emulator.start()
    yield accounts.enter
    emulator.stop()


@pytest.fixture
def account() -> str:
    return str(next(_numbers))


@pytest.fixture
def session(new_account: NewAccount, account: str) -> Session:
    return new_account(account)


@pytest.fixture
def world(session: Session, account: str) -> Iterator[World]:
    sqs = session.client("sqs")
    dead_url = sqs.create_queue(QueueName="parcels-dead")["QueueUrl"]
    policy = {
        "deadLetterTargetArn": f"arn:aws:sqs:eu-central-1:{account}:parcels-dead",
        "maxReceiveCount": RECEIVES,
    }
    attributes = {
        "VisibilityTimeout": str(VISIBILITY_SECONDS),
        "RedrivePolicy": json.dumps(policy),
    }
    url = sqs.create_queue(QueueName="parcels", Attributes=attributes)["QueueUrl"]
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=True) as clock:
        yield World(sqs, clock, account, url, dead_url)
    for queue in sqs.list_queues().get("QueueUrls", []):  # queues are looked up by name alone
        sqs.delete_queue(QueueUrl=queue)


@pytest.fixture
def stage(session: Session) -> Iterator[Stage]:
    stage = Stage(session)
    stage.executions.start()
    yield stage
    clock.stop()
    stage.executions.clear()
    stage.executions.stop()
    faults.clear()


@pytest.fixture
def held(stage: Stage) -> Iterator[Held]:
    stage.answer = held = Held()
    yield held
    held.release()


Run = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Run]:
    """Starts a module of the project as a program; none outlives the test."""
    started: list[Program] = []

    def start_it(module: str, *arguments: str, **environment: str) -> Program:
        started.append(run(module, *arguments, **environment))
        return started[-1]

    yield start_it
    for program in started:
        program.kill()


@pytest.fixture(scope="session")
def shared_cloud() -> Iterator[Cloud]:
    """One `make run` for all tests that neither stop it nor count what it holds."""
    program = run("infra.local", "--port", "0")
    try:
        yield cloud_of(program)
    finally:
        program.kill()


@pytest.fixture(scope="session")
def own_cloud() -> Iterator[Cloud]:
    """A second one, for tests that move its clock or let AWS fail."""
    program = run("infra.local", "--port", "0")
    try:
        yield cloud_of(program)
    finally:
        program.kill()
