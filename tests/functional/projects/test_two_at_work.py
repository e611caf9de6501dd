"""What two attempts at the same thing do to each other, as the simulator has found it."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.projects import gateway, models
from chalicelib.projects.gateway import Credential
from chalicelib.projects.models import Project
from chalicelib.projects.workflow import runs
from infra.local import clock, faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Caller
from tests.functional.http import store_calls
from tests.functional.projects import workflow as projects
from tests.functional.projects import zadara
from tests.functional.projects.workflow import (
    Workflow,
    created,
    path,
    people,
    status,
)
from tests.functional.projects.zadara import Cluster
from tests.functional.web.sessions import setting


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    setting(monkeypatch, private_addresses=True)
    with zadara.running(Cluster()) as started:
        yield started


def test_nothing_is_made_at_the_provider_that_was_not_saved_before(cluster: Cluster) -> None:
    def fail(_: Credential) -> None:
        raise RuntimeError("the store is down")

    with gateway.connect(cluster.region()) as cloud:
        project = cloud.ensure_project("k", "Alder")
        user = cloud.ensure_user("p", "ann@example.com", "Ann").id
        cloud.ensure_grant(project, user, "member")
        with pytest.raises(RuntimeError):
            cloud.rotate_credential(project, user, fail, None)

    assert cluster.credentials == {}


def test_two_attempts_make_the_same_credential(cluster: Cluster) -> None:
    """The second finds what the first has saved, whether the first has made it or not."""
    kept: list[Credential] = []

    def keep(made: Credential) -> Credential:
        kept.append(made)
        return kept[0]

    for _ in range(3):
        with gateway.connect(cluster.region()) as cloud:
            project = cloud.ensure_project("k", "Alder")
            user = cloud.ensure_user("p", "ann@example.com", "Ann").id
            cloud.ensure_grant(project, user, "member")
            assert cloud.rotate_credential(project, user, keep, None) == kept[0]

    assert set(cluster.credentials) == {kept[0].id}


def test_progress_does_not_fall_when_a_late_copy_of_a_step_meets_a_count_of_users(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    """The copy has read the row before users are counted, and writes to it afterwards."""
    project_id = created(manager, user_ids=people(3, "customer"))
    late = LateCopy(workflow, lambda: int(status(manager, project_id)["progress"]["percent"]))
    workflow.before("sync_users", late.begin)
    workflow.before("finish", late.go_on)

    with store_calls.hooked("before-call.dynamodb.UpdateItem", late.meet):
        cloud.run_until_idle()

    assert status(manager, project_id)["status"] == "active"
    assert late.seen == sorted(late.seen)
    assert len(late.seen) > 1


class LateCopy:
    """A second run of a step, held at its first write until it may go on."""

    def __init__(self, workflow: Workflow, percent: Callable[[], int]) -> None:
        self.seen: list[int] = []
        self._workflow, self._percent = workflow, percent
        self._thread = threading.Thread(target=workflow.again, args=["attach_participants"])
        self._held, self._may_go_on = threading.Event(), threading.Event()

    def begin(self) -> None:
        self._thread.start()
        assert self._held.wait(store_calls.PATIENCE)

    def go_on(self) -> None:
        self.seen.append(self._percent())
        self._may_go_on.set()
        self._thread.join(store_calls.PATIENCE)
        assert not self._thread.is_alive()

    def meet(self, **_: Any) -> None:
        """Holds the copy at its first write, and notes the progress at each of the others."""
        if threading.current_thread() is not self._thread:
            return
        if self._held.is_set():
            self.seen.append(self._percent())
        self._held.set()
        assert self._may_go_on.wait(store_calls.PATIENCE)


def test_a_credential_stays_what_it_was_when_its_users_are_worked_on_again(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    ids = people(3, "customer")
    project_id = created(manager, user_ids=ids)
    seen: list[dict[str, object]] = []
    workflow.trouble("sync_users", "twice at once")
    workflow.before("finish", lambda: seen.append(projects.credentials(project_id)))
    cloud.run_until_idle()

    assert status(manager, project_id)["status"] == "active"
    assert seen == [projects.credentials(project_id)]
    assert set(seen[0]) >= set(ids)


def test_undoing_takes_away_what_an_earlier_run_left_when_the_project_itself_went(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    project_id = created(manager, user_ids=people(3, "customer"))
    cloud.run_until_idle()
    left = len(projects.credentials(project_id))
    workflow.trouble("sync_users", "crash before", 3)
    manager.delete(path(project_id))
    cloud.run_until_idle()
    assert status(manager, project_id)["status"] == "failed"

    before = projects.provider_calls()
    manager.post(path(project_id, "retry"))
    cloud.run_until_idle()

    assert status(manager, project_id)["status"] == "deleted"
    assert left == 3
    looks_and_deletes_again = 2  # the simulated provider keeps nothing, and says it is there
    assert projects.provider_calls() - before == left + looks_and_deletes_again


def test_a_step_begun_by_two_attempts_takes_no_progress_back(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.projects import models
    from chalicelib.projects.workflow import progress

    project_id = created(manager)
    one, other = (models.get_project("t1", project_id) for _ in range(2))
    assert one is not None
    assert other is not None
    progress.begin(one, "ensure_project")
    progress.end(one, "ensure_project")
    far = status(manager, project_id)["progress"]["percent"]
    progress.begin(other, "ensure_project")
    progress.note_error(one, "ensure_project", "of an attempt that is no longer the last one")

    shown = status(manager, project_id)["progress"]
    assert shown["percent"] == far > 0
    assert projects.step(status(manager, project_id), "ensure_project")["attempts"] == 2
    assert projects.step(status(manager, project_id), "ensure_project")["error"] is None


def test_a_project_that_cannot_be_looked_at_keeps_no_other_from_being_ended(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.projects import steps

    faults.add(Fault("states", "StartExecution", "refuse", times=None))
    ids = [created(manager, name) for name in ("Alder", "Birch", "Cedar", "Douglas")]
    cloud.run_until_idle()
    clock.advance(400)
    faults.add(Fault("dynamodb", "GetItem", "refuse", times=3))  # all tries of one read

    assert steps.reconcile() == len(ids) - 1
    assert [status(manager, each)["status"] for each in ids].count("failed") == len(ids) - 1


def test_a_change_of_users_that_read_the_project_before_syncing_began_is_refused(
    cloud: LocalCloud, manager: Caller, workflow: Workflow
) -> None:
    """Its floor would be that of then, and the percentage would go back."""
    ids = people(4, "customer")
    project_id = created(manager, user_ids=ids[:3])
    cloud.run_until_idle()
    read: list[Project] = []
    refused: list[Conflict] = []

    def remove() -> None:
        tx = Transaction("t1")
        part = models.find_participants("t1", project_id, ids[:1])[ids[0]]
        runs.remove_user(tx, read[0], part, None)
        with pytest.raises(Conflict) as raised:
            tx.commit()
        refused.append(raised.value)

    workflow.before("list_batches", lambda: read.append(_read(project_id)))
    workflow.before("sync_users", remove)
    assert manager.post(path(project_id, "users"), {"user_ids": ids[3:]}).status_code == 202
    cloud.run_until_idle()
    assert (len(read), len(refused)) == (1, 1)
    assert status(manager, project_id)["status"] == "active"


def _read(project_id: str) -> Project:
    found = models.get_project("t1", project_id)
    assert found is not None
    return found
