"""What may be asked of a project takes If-Match, as its change does."""

from collections.abc import Callable

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller

STALE = {"If-Match": '"v999"'}
Ask = Callable[[Caller, str, dict[str, str]], Answer]


def suspend(manager: Caller, path: str, tag: dict[str, str]) -> Answer:
    return manager.post(f"{path}/suspend", headers=tag)


def add_nobody_new(manager: Caller, path: str, tag: dict[str, str]) -> Answer:
    (user, *_) = manager.users()
    return manager.post(f"{path}/users", {"user_ids": [user["id"]]}, headers=tag)


def remove_somebody(manager: Caller, path: str, tag: dict[str, str]) -> Answer:
    (user, *_) = manager.listed(f"{path}/users")
    return manager.delete(f"{path}/users/{user['user_id']}", headers=tag)


def rotate_somebody(manager: Caller, path: str, tag: dict[str, str]) -> Answer:
    (user, *_) = manager.listed(f"{path}/users")
    return manager.post(f"{path}/users/{user['user_id']}/rotate-credential", headers=tag)


@pytest.mark.parametrize("ask", [suspend, add_nobody_new, remove_somebody, rotate_somebody])
def test_a_stale_tag_is_refused_and_the_project_stays_as_it_is(
    manager: Caller, active: str, ask: Ask
) -> None:
    path = f"/admin/v1/projects/{active}"
    before = manager.get(path)

    assert ask(manager, path, STALE).status_code == 412
    assert manager.get(path).content == before.content
    assert ask(manager, path, {"If-Match": before.headers["ETag"]}).status_code == 202


def test_a_stale_tag_brings_no_suspended_project_back(
    cloud: LocalCloud, manager: Caller, active: str
) -> None:
    path = f"/admin/v1/projects/{active}"
    suspend(manager, path, {})
    cloud.run_until_idle()

    assert manager.post(f"{path}/resume", headers=STALE).status_code == 412
    tag = {"If-Match": manager.get(path).headers["ETag"]}
    assert manager.post(f"{path}/resume", headers=tag).status_code == 202


def test_a_stale_tag_tries_no_failed_project_again(manager: Caller, failed: str) -> None:
    path = f"/admin/v1/projects/{failed}"

    assert manager.post(f"{path}/retry", headers=STALE).status_code == 412
    tag = {"If-Match": manager.get(path).headers["ETag"]}
    assert manager.post(f"{path}/retry", headers=tag).status_code == 202


def test_what_the_status_does_not_allow_is_said_also_under_the_right_tag(
    manager: Caller, failed: str
) -> None:
    path = f"/admin/v1/projects/{failed}"
    tag = {"If-Match": manager.get(path).headers["ETag"]}

    assert manager.post(f"{path}/suspend", headers=tag).status_code == 409
