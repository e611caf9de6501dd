"""A project of which we know no id at its provider is undone all the same."""

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Caller
from tests.functional.projects import rows
from tests.functional.projects import workflow as projects
from tests.functional.projects.workflow import path, status

LOOKED_FOR_AND_DELETED = 2  #: calls; the simulated provider keeps nothing, and says it is there


@pytest.mark.parametrize(("region", "calls"), [("local-1", LOOKED_FOR_AND_DELETED), ("gone", 0)])
def test_it_is_looked_for_where_there_is_somebody_to_ask(
    cloud: LocalCloud, manager: Caller, region: str, calls: int
) -> None:
    from chalicelib.projects import models

    project_id = rows.project("t1", "failed")
    made = models.get_project("t1", project_id)
    assert made is not None
    assert made.provider_project_id is None
    made.update([models.Project.region.set(region)])
    before = projects.provider_calls()

    manager.delete(path(project_id))
    cloud.run_until_idle()

    assert status(manager, project_id)["status"] == "deleted"
    assert projects.provider_calls() - before == calls
