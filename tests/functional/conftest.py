"""The local cloud of tests/conftest.py, emptied before each test.

No thread works its queues: a test says `cloud.run_until_idle()` and `cloud.advance(seconds)`.
"""

from collections.abc import Iterator

import pytest

from infra.local import clock, faults
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller, Client


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
