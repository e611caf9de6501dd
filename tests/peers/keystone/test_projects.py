"""Projects from the API down to a real OpenStack Keystone, which stops, dies and comes back."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.kernel.auth import vault
from chalicelib.projects.gateway.identity import mark_of
from infra.local.cloud import LocalCloud
from tests.functional.client import Caller
from tests.functional.projects.workflow import (
    created,
    credentials,
    participants,
    path,
    people,
    status,
    step,
)
from tests.peers.keystone.server import Keystone
from tests.peers.keystone.test_gateway import grants, sign_in

USERS = 30
PLACE = {"provider": "openstack", "region": "region-a"}
LONG_ENOUGH_SECONDS = 60


def kept(project_id: str) -> Iterator[tuple[str, Any]]:
    """Each participant's id and the credential that we keep, opened."""
    from chalicelib.projects.gateway import Credential

    for person, row in credentials(project_id).items():
        name = f"credential#{project_id}#{person}"
        label = vault.Label(tenant_id="t1", use=vault.CREDENTIAL, name=name)
        opened = vault.unseal(label, row["sealed"]["B"])
        yield person, Credential(row["credential_id"]["S"], **json.loads(opened))


def project_at(keystone: Keystone, project_id: str) -> str:
    """Its id there, by the mark that we put on it."""
    mark = mark_of("project", project_id)
    (row,) = keystone.look(f"/projects?tags=backburner-{mark}")["projects"]
    return str(row["id"])


def assert_whole(keystone: Keystone, manager: Caller, project_id: str) -> None:
    """Active, and Keystone's own listing shows one of each for every user."""
    shown = status(manager, project_id)
    assert shown["status"] == "active", shown
    assert shown["progress"]["users"] == {"total": USERS, "synced": USERS, "failed": 0}
    there = project_at(keystone, project_id)
    held = grants(keystone, there)
    assert len(held) == USERS
    assert {word for words in held.values() for word in words} == {"member"}
    listed = keystone.look("/credentials")["credentials"]
    made = Counter(each["user_id"] for each in listed if each["project_id"] == there)
    assert made == dict.fromkeys(held, 1)
    ours = dict(kept(project_id))
    assert {each.id for each in ours.values()} == {
        each["id"] for each in listed if each["project_id"] == there
    }
    assert {sign_in(keystone, each) for each in ours.values()} == {200}


@contextmanager
def once_credentials_are_made(
    keystone: Keystone, count: int, do: Callable[[], None]
) -> Iterator[None]:
    """Meanwhile: as soon as so many more were made, this is done."""
    word = "POST /v3/credentials 201"
    wanted = keystone.asked().count(word) + count

    def wait() -> None:
        with keystone._news:
            enough = lambda: keystone._requests.count(word) >= wanted  # noqa: E731
            assert keystone._news.wait_for(enough, LONG_ENOUGH_SECONDS)
        do()

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        yield
    finally:
        waiting.join()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_ENOUGH_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def test_thirty_users_are_synced_with_credentials_that_work(
    keystone: Keystone, cloud: LocalCloud, manager: Caller
) -> None:
    keystone.forget_requests()
    project_id = created(manager, user_ids=people(USERS), **PLACE)
    cloud.run_until_idle()

    asked = keystone.asked()
    assert_whole(keystone, manager, project_id)
    around = 3 + 2 * 8  # scopes found out once, then log-in, project, lists: twice at most
    assert len(asked) <= 3 * USERS + around
    assert set(participants(manager, project_id)) == {person for person, _ in kept(project_id)}


def test_users_who_are_in_a_second_project_are_the_same_users_there(
    keystone: Keystone, cloud: LocalCloud, manager: Caller
) -> None:
    ids = people(USERS)
    first = created(manager, "First", user_ids=ids, **PLACE)
    cloud.run_until_idle()
    before = set(keystone.named("/users", "users"))
    second = created(manager, "Second", user_ids=ids, **PLACE)
    cloud.run_until_idle()

    assert set(keystone.named("/users", "users")) == before
    for each in (first, second):
        assert_whole(keystone, manager, each)


def test_a_keystone_that_is_stopped_in_the_middle_and_continued_ends_in_active(
    keystone: Keystone, cloud: LocalCloud, manager: Caller
) -> None:
    project_id = created(manager, user_ids=people(USERS), **PLACE)

    def stop_for_a_while() -> None:
        keystone.pause()
        try:
            until(lambda: bool(step(status(manager, project_id), "sync_users")["error"]))
        finally:
            keystone.resume()

    with once_credentials_are_made(keystone, 7, stop_for_a_while):
        cloud.run_until_idle()

    assert_whole(keystone, manager, project_id)


def test_a_keystone_killed_for_good_ends_in_failed_and_a_retry_does_only_what_is_missing(
    keystone: Keystone, cloud: LocalCloud, manager: Caller
) -> None:
    project_id = created(manager, user_ids=people(USERS), **PLACE)
    with once_credentials_are_made(keystone, 12, keystone.kill):
        cloud.run_until_idle()

    shown = status(manager, project_id)
    assert shown["status"] == "failed"
    assert step(shown, "sync_users")["status"] == "failed"
    assert "cannot be reached" in json.dumps(shown)
    done = shown["progress"]["users"]["synced"]
    assert 0 < done < USERS

    keystone.start()
    keystone.forget_requests()
    assert manager.post(path(project_id, "retry")).status_code == 202
    cloud.run_until_idle()
    tried = keystone.asked().count("POST /v3/credentials 201")
    assert tried <= USERS - done
    assert_whole(keystone, manager, project_id)


def test_a_user_who_is_removed_is_out_and_the_others_stay(
    keystone: Keystone, cloud: LocalCloud, manager: Caller
) -> None:
    ids = people(USERS + 1, "customer")
    project_id = created(manager, user_ids=ids, **PLACE)
    cloud.run_until_idle()
    gone = dict(kept(project_id))[ids[0]]
    assert sign_in(keystone, gone) == 200
    answer = manager.delete(path(project_id, "users", ids[0]))
    assert answer.status_code == 202, answer.text
    cloud.run_until_idle()

    assert sign_in(keystone, gone) == 401
    assert {sign_in(keystone, each) for _, each in kept(project_id)} == {200}


def test_a_project_that_is_suspended_resumed_and_deleted_is_so_at_keystone(
    keystone: Keystone, cloud: LocalCloud, manager: Caller
) -> None:
    project_id = created(manager, user_ids=people(3), **PLACE)
    cloud.run_until_idle()
    there = project_at(keystone, project_id)
    _, credential = next(kept(project_id))
    for word, allowed in (("suspend", 401), ("resume", 200)):
        assert manager.post(path(project_id, word)).status_code == 202
        cloud.run_until_idle()
        assert sign_in(keystone, credential) == allowed

    assert manager.delete(path(project_id)).status_code == 202
    cloud.run_until_idle()
    assert there not in keystone.named("/projects", "projects").values()
    assert sign_in(keystone, credential) == 401


@pytest.mark.parametrize("field", ["provider", "region"])
def test_a_place_that_nobody_knows_is_a_422_and_asks_keystone_nothing(
    keystone: Keystone, cloud: LocalCloud, manager: Caller, field: str
) -> None:
    keystone.forget_requests()
    body = {"name": "Nowhere", **PLACE, field: "nowhere"}

    assert manager.post("/admin/v1/projects", body).status_code == 422
    cloud.run_until_idle()
    assert keystone.asked() == []
