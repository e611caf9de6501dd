"""The local cloud of tests/conftest.py, emptied before each test.

No thread works its queues: a test says `cloud.run_until_idle()` and `cloud.advance(seconds)`.

With `--deployment <file>` the tests that come in by HTTP alone run against a deployment instead
(deployed.py); those that need the local cloud's process are left out (locality.py).
"""

from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import botocore.endpoint  # type: ignore[import-untyped, unused-ignore]
import pytest
from websockets.sync.client import connect

from infra.local import clock, faults, roles
from infra.local.cloud import LocalCloud
from tests import settings
from tests.functional.client import Caller, Client
from tests.functional.deployed import Deployed
from tests.functional.http.lines import Line, Open, ticket_of


@pytest.fixture
def cloud(started: LocalCloud) -> Iterator[LocalCloud]:
    """An empty local cloud with the tenants t1 and t2, in real time, without faults.

    A test that leaves calls behind which a function's policy denied fails: the function may have
    handled the error, but on AWS it would never work.
    """
    started.reset()
    roles.take_denials()
    yield started
    faults.clear()
    clock.stop()
    started.schedules.fire_due(clock.now())  # planned anew, since time went back
    if denials := roles.take_denials():
        lines = [f"{each.text} (infra/policies/{each.function}.json)" for each in denials]
        pytest.fail("AWS would refuse what a function did:\n" + "\n".join(lines), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _sdk_tries_again_at_once() -> Iterator[None]:
    """The SDK's waits between its tries pass in no time; how often it tries stays its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
        yield


@pytest.fixture(scope="session")
def deployment(pytestconfig: pytest.Config) -> Deployed | None:
    """What `--deployment` describes; None: the tests run against the local cloud."""
    file = pytestconfig.getoption("deployment")
    return Deployed.read(file) if file else None


@pytest.fixture
def client(request: pytest.FixtureRequest, deployment: Deployed | None) -> Client:
    if deployment:
        return deployment.client()
    cloud: LocalCloud = request.getfixturevalue("cloud")
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


@pytest.fixture
def as_on_a_stage(cloud: LocalCloud) -> Iterator[None]:
    """Logins of nobody are refused; the admin of the platform is the one whom settings name."""
    with settings.changed(unknown_subjects="refuse", platform_admins="root"):
        yield


@pytest.fixture
def root(client: Client) -> Caller:
    """The admin whom `as_on_a_stage` names."""
    return client.as_("admin", None, sub="root").naming("t1")


@pytest.fixture
def line(cloud: LocalCloud) -> Iterator[Open]:
    """Opens WebSockets, which end with the test."""
    with ExitStack() as lines:
        yield lambda caller: Line(lines.enter_context(connect(ticket_of(caller)["url"])))
    cloud.sockets.close_all()
