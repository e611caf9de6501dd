"""A Keystone for each module, connections to it, and a local cloud that may call it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chalicelib.projects import gateway
from chalicelib.projects.gateway import Provider
from infra.local import clock, faults
from infra.local.cloud import LocalCloud
from tests import settings
from tests.functional.client import Caller, Client
from tests.peers.install import KEYSTONE
from tests.peers.keystone import server as keystones
from tests.peers.keystone.server import ACCOUNT, Keystone

Connect = Callable[..., Provider]
#: It stands at 127.0.0.1, and a silent provider is given up soon.
ALLOWED = {"private_addresses": True, "provider_read_seconds": 1}


@pytest.fixture(scope="module")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    state = tmp_path_factory.mktemp("keystone") / "state"
    with keystones.running(KEYSTONE, state) as started:
        yield started


@pytest.fixture(autouse=True)
def _as_on_a_developers_machine() -> Iterator[None]:
    with settings.changed(**ALLOWED):
        yield


@pytest.fixture
def connect(keystone: Keystone) -> Iterator[Connect]:
    """A new connection, which ends with the test."""
    with ExitStack() as opened:

        def connect(account: str = ACCOUNT, **who: Any) -> Provider:
            return opened.enter_context(gateway.connect(keystone.region(account, **who)))

        yield connect


@pytest.fixture
def cloud(started: LocalCloud) -> Iterator[LocalCloud]:
    """An empty local cloud."""
    started.reset()
    yield started
    faults.clear()
    clock.stop()
    started.schedules.fire_due(clock.now())  # planned anew, since time went back


@pytest.fixture
def manager(cloud: LocalCloud, keystone: Keystone) -> Caller:
    """A manager of the tenant t1, on a platform that has Keystone for a region."""
    client = Client(cloud.url, cloud.issuer.token)
    region = keystone.region()
    new = {
        "provider": "openstack",
        "name": region.name,
        "address": region.address,
        "account": region.account,
        "username": region.username,
        "password": region.password,
    }
    made = client.as_("admin", None).post("/admin/v1/regions", new)
    assert made.status_code == 201, made.text
    return client.as_("manager")
