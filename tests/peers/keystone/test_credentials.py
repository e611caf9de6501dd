"""Credentials at a real Keystone: one for each user of a project, saved before it is made."""

import pytest

from chalicelib.projects.gateway import Credential
from tests.peers.keystone.conftest import Connect
from tests.peers.keystone.server import Keystone
from tests.peers.keystone.team import Team, credentials, sign_in


def test_it_stays_the_same_however_often_its_user_is_worked_on(
    keystone: Keystone, connect: Connect
) -> None:
    team = Team("the same", 1)
    (person,) = team.people
    for _ in range(3):
        team.link(connect())
        saved = team.saved[person]
        assert credentials(keystone, team.users[person]) == {saved.id}
        assert sign_in(keystone, saved) == 200


def test_nothing_is_made_that_could_not_be_saved(keystone: Keystone, connect: Connect) -> None:
    team = Team("saving fails", 1)
    (person,) = team.people
    team.project_id = connect().ensure_project(team.key, "Saving")
    user = connect().ensure_user(person, "a@example.com", "A").id

    def fail(_: Credential) -> Credential:
        raise RuntimeError("the store is down")

    with pytest.raises(RuntimeError):
        connect().ensure_credential(team.project_id, user, fail)
    assert credentials(keystone, user) == set()
    team.link(connect())
    assert credentials(keystone, user) == {team.saved[person].id}


@pytest.mark.parametrize("breaks_at", ["before it is saved", "after it is saved"])
def test_an_attempt_that_was_broken_off_leaves_nothing_behind_once_it_is_made_again(
    keystone: Keystone, connect: Connect, breaks_at: str
) -> None:
    team = Team(f"broken off {breaks_at}", 1)
    (person,) = team.people
    team.project_id = connect().ensure_project(team.key, "Broken")
    user = connect().ensure_user(person, "a@example.com", "A").id
    connect().ensure_grant(team.project_id, user, "member")

    def break_off(new: Credential) -> Credential:
        if breaks_at == "after it is saved":
            team.saved.setdefault(person, new)
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            connect().ensure_credential(team.project_id, user, break_off)
    team.link_one(connect(), person)

    assert credentials(keystone, user) == {team.saved[person].id}
    assert sign_in(keystone, team.saved[person]) == 200


def test_one_that_nobody_knows_any_more_gives_way(keystone: Keystone, connect: Connect) -> None:
    """As a call leaves it that came late, after its user had gone."""
    team = Team("left over", 1)
    (person,) = team.people
    team.link(connect())
    forgotten = team.saved.pop(person)
    team.link(connect())

    assert team.saved[person].secret != forgotten.secret
    assert credentials(keystone, team.users[person]) == {team.saved[person].id}
    assert sign_in(keystone, team.saved[person]) == 200
    assert sign_in(keystone, forgotten) == 401
