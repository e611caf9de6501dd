"""A rotation at a provider that goes down in between: at every moment one credential works."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import product
from typing import Any

import pytest

from chalicelib.kernel import cache
from chalicelib.projects.gateway import openstack
from infra.local.cloud import LocalCloud
from tests import settings
from tests.functional.client import Caller, Client
from tests.functional.projects import workflow as projects
from tests.functional.projects import zadara
from tests.functional.projects.workflow import path, people, status
from tests.functional.projects.zadara import ACCOUNT, PASSWORD, USERNAME, Answer, Cluster

REGION = {"provider": "zadara", "name": "yard", "account": ACCOUNT}
#: The new credential is made and not proved; it is proved, and the old one not deleted.
IN_EVERY_TEST = ((3, True), (5, False))
DOWN: Answer = (503, {"error": {"message": "out of order"}})


class Frail(Cluster):
    """A cluster that can be told after how many calls it goes down."""

    calls_left: int | None = None  #: that it still answers; None: all
    loses_answer = False  #: it still does what the first call asks that it does not answer

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> tuple[Answer, dict[str, str]]:
        if self.calls_left is None:
            return super().answer(request, body)
        self.calls_left -= 1
        if self.calls_left >= 0:
            return super().answer(request, body)
        if self.calls_left == -1 and self.loses_answer:
            super().answer(request, body)
        return DOWN, {}


@pytest.fixture
def cluster(client: Client) -> Iterator[Frail]:
    openstack._scopes.clear()
    cache.forget_all()
    with zadara.running(Frail()) as started, settings.changed(private_addresses=True):
        region = {**REGION, "address": started.url, "username": USERNAME, "password": PASSWORD}
        answer = client.as_("admin", None).post("/admin/v1/regions", region)
        assert answer.status_code == 201, answer.text
        yield started


@pytest.fixture
def who(cloud: LocalCloud) -> str:
    return people(1, "customer")[0]


@pytest.fixture
def project(cluster: Frail, cloud: LocalCloud, manager: Caller, who: str) -> str:
    body = {"name": "Alder", "provider": "zadara", "region": "yard", "user_ids": [who]}
    answer = manager.post("/admin/v1/projects", body)
    assert answer.status_code == 201, answer.text
    cloud.run_until_idle()
    made = str(answer.json()["data"]["id"])
    assert status(manager, made)["status"] == "active"
    return made


def kept(project_id: str, person_id: str) -> str:
    """The id of the credential that our row names."""
    return str(projects.credentials(project_id)[person_id]["credential_id"]["S"])


def secret(project_id: str, person_id: str) -> str:
    from chalicelib.projects.workflow import credentials

    row = credentials.find("t1", project_id, [person_id])[person_id]
    return credentials._opened(row).secret


def works(cluster: Frail, project_id: str, person_id: str) -> bool:
    """The provider has the credential that our row names, with the secret that is in the row."""
    row = cluster.credentials.get(kept(project_id, person_id))
    return row is not None and json.loads(row["blob"])["secret"] == secret(project_id, person_id)


def of_user(cluster: Frail, project_id: str, person_id: str) -> list[str]:
    user = cluster.credentials[kept(project_id, person_id)]["user_id"]
    return [key for key, row in cluster.credentials.items() if row["user_id"] == user]


def moments() -> Iterator[Any]:
    """After how many calls it goes down, and whether it still does what comes then."""
    for calls, loses_answer in product(range(8), (False, True)):
        name = f"{calls} calls, then {'an answer lost' if loses_answer else 'nothing'}"
        marks = () if (calls, loses_answer) in IN_EVERY_TEST else pytest.mark.thorough
        yield pytest.param(calls, loses_answer, id=name, marks=marks)


@pytest.mark.parametrize(("calls", "loses_answer"), list(moments()))
def test_a_provider_that_goes_down_after_any_call_leaves_a_credential_that_works(
    cluster: Frail,
    cloud: LocalCloud,
    manager: Caller,
    project: str,
    who: str,
    calls: int,
    loses_answer: bool,  # noqa: FBT001  a parameter of pytest's
) -> None:
    before, old_secret = kept(project, who), secret(project, who)
    cluster.calls_left, cluster.loses_answer = calls, loses_answer
    assert manager.post(path(project, "users", who, "rotate-credential")).status_code == 202
    cloud.run_until_idle()
    assert works(cluster, project, who)

    was_met = cluster.calls_left < 0
    cluster.calls_left = None
    shown = status(manager, project)
    assert was_met or shown["status"] == "active"
    if shown["status"] != "active":
        assert "out of order" not in str(shown)
        assert manager.post(path(project, "retry")).status_code == 202
    cloud.run_until_idle()
    assert status(manager, project)["status"] == "active"
    assert works(cluster, project, who)
    assert of_user(cluster, project, who) == [kept(project, who)]
    assert kept(project, who) != before
    assert secret(project, who) != old_secret
