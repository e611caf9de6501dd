"""What this process remembers beside the store is forgotten before each test.

What waits for a busy provider waits on the local clock, and so in no time.
"""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from infra.local import clock
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller
from tests.functional.projects.sizes import Sizes
from tests.functional.projects.snapshot import Snapshot
from tests.functional.projects.workflow import Workflow, created, people, status


@pytest.fixture(autouse=True)
def forgotten(cloud: LocalCloud) -> None:
    from chalicelib.kernel import cache

    cache.forget_all()


@pytest.fixture(autouse=True)
def _busy_providers_are_waited_for_in_no_time() -> Iterator[None]:
    from chalicelib.projects.workflow import user_sync

    local_time = SimpleNamespace(sleep=clock.advance, monotonic=time.monotonic)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(user_sync, "time", local_time)
        yield


@pytest.fixture
def sizes(request: pytest.FixtureRequest) -> Iterator[Sizes]:
    """Those of `sizes.in_sizes`."""
    with request.param.held() as sizes:
        yield sizes


@pytest.fixture
def workflow(cloud: LocalCloud) -> Iterator[Workflow]:
    """Lambda's part in the workflow, which a test may let go wrong; it must then do so."""
    made = Workflow(cloud)
    yield made
    made.behave()
    assert made.unmet == set()


@pytest.fixture(scope="session")
def grown() -> dict[str, Snapshot]:
    """The cloud with an active project, by the project's id, once there has been one."""
    return {}


@pytest.fixture
def active(cloud: LocalCloud, manager: Caller, grown: dict[str, Snapshot]) -> str:
    """An active project with three users, made once by the workflow and put back from then on."""
    if not grown:
        project_id = created(manager, user_ids=people(3, "customer"))
        cloud.run_until_idle()
        grown[project_id] = Snapshot.taken()
        return project_id
    ((project_id, snapshot),) = grown.items()
    snapshot.put_into_an_empty_cloud()
    return project_id


@pytest.fixture
def failed(cloud: LocalCloud, manager: Caller) -> str:
    """A project with three users, of whom one was refused."""
    good, bad = people(2, "customer"), people(1, "customer", prefix="refused@example.com")
    project_id = created(manager, user_ids=[*good, *bad])
    cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "failed"
    return project_id
