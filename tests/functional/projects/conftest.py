"""What this process remembers beside the store is forgotten before each test."""

from collections.abc import Iterator

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.projects.workflow import Workflow


@pytest.fixture(autouse=True)
def forgotten(cloud: LocalCloud) -> None:
    from chalicelib.kernel import tenancy, vault
    from chalicelib.people import directory
    from chalicelib.projects import figures, regions

    for each in (tenancy.forget, vault.forget, directory.forget_logins, figures.forget):
        each()
    regions._cache.clear()


@pytest.fixture
def workflow(cloud: LocalCloud) -> Iterator[Workflow]:
    """Lambda's part in the workflow, which a test may let go wrong."""
    made = Workflow(cloud)
    yield made
    made.behave()
