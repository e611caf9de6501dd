"""One local cloud for all functional tests of a process, emptied before each test.

No thread works its queues: a test says `cloud.run_until_idle()` and `cloud.advance(seconds)`.
"""

import os
from collections.abc import Iterator
from dataclasses import fields

import pytest

from infra.local import clock, faults
from infra.local.cloud import LocalCloud, Options, running
from tests.functional.client import Caller, Client


@pytest.fixture(scope="session")
def started() -> Iterator[LocalCloud]:
    with running(Options(work=False, aws_endpoint=False, log_lines=False)) as cloud:
        _read_settings_again()
        yield cloud


def _read_settings_again() -> None:
    """Settings are read at import; test modules were imported before the cloud had an address."""
    from chalicelib.kernel import settings as module

    now = module.read(os.environ)
    for field in fields(now):
        object.__setattr__(module.settings, field.name, getattr(now, field.name))


@pytest.fixture
def cloud(started: LocalCloud) -> Iterator[LocalCloud]:
    """An empty local cloud with the tenants t1 and t2, in real time, without faults."""
    started.reset()
    yield started
    faults.clear()
    clock.stop()
    started.schedules.fire_due(clock.now())  # planned anew, since time went back


@pytest.fixture
def client(cloud: LocalCloud) -> Client:
    return Client(cloud.url, cloud.issuer.token)


@pytest.fixture
def manager(client: Client) -> Caller:
    """A manager of the tenant t1."""
    return client.as_("manager")


@pytest.fixture
def other(client: Client) -> Caller:
    """A manager of another tenant, t2."""
    return client.as_("manager", "t2")


@pytest.fixture
def admin(client: Client) -> Caller:
    """An admin of the platform, who names the tenant t1 with each call."""
    return client.as_("admin", None).naming("t1")
