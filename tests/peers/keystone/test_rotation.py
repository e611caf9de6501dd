"""Credentials at a real Keystone: the old one goes only after the new one is proved."""

import pytest

from chalicelib.projects.gateway import Credential
from tests.peers.keystone.conftest import Connect
from tests.peers.keystone.server import Keystone
from tests.peers.keystone.team import Team, credentials, sign_in


def test_after_a_rotation_the_old_key_is_refused_and_the_new_one_works(
    keystone: Keystone, connect: Connect
) -> None:
    team = Team("rotated", 1)
    (person,) = team.people
    team.link(connect())
    for _ in range(3):
        old = team.saved[person][-1]
        assert sign_in(keystone, old) == 200
        team.link(connect())
        new = team.saved[person][-1]
        assert sign_in(keystone, new) == 200
        assert sign_in(keystone, old) == 401
        assert credentials(keystone, team.users[person]) == {new.id}


def test_the_old_credential_goes_only_after_the_new_one_was_saved(
    keystone: Keystone, connect: Connect
) -> None:
    team = Team("saving fails", 1)
    (person,) = team.people
    team.link(connect())
    old = team.saved[person][-1]

    def fail(_: Credential) -> None:
        raise RuntimeError("the store is down")

    with pytest.raises(RuntimeError):
        connect().rotate_credential(team.project_id, team.users[person], fail, old.id)
    assert sign_in(keystone, old) == 200
    team.link(connect())
    assert credentials(keystone, team.users[person]) == {team.saved[person][-1].id}


def test_the_old_credential_stays_until_it_is_noted_that_the_new_one_works(
    keystone: Keystone, connect: Connect
) -> None:
    team = Team("noted", 1)
    (person,) = team.people
    team.link(connect())
    old, user = team.saved[person][-1], team.users[person]
    seen: list[tuple[int, int]] = []

    def note(new: Credential) -> None:
        seen.append((sign_in(keystone, old), sign_in(keystone, new)))
        if len(seen) == 1:
            raise KeyboardInterrupt

    made: list[Credential] = []

    def save(new: Credential) -> Credential:
        made.append(new)
        return made[0]  # as the application does, which remembers the first attempt

    with pytest.raises(KeyboardInterrupt):
        connect().rotate_credential(team.project_id, user, save, old.id, note)
    assert sign_in(keystone, old) == 200
    connect().rotate_credential(team.project_id, user, save, old.id, note)

    assert seen == [(200, 200)] * 2
    assert (sign_in(keystone, old), sign_in(keystone, made[0])) == (401, 200)
    assert credentials(keystone, user) == {made[0].id}


@pytest.mark.parametrize("breaks_at", ["before it is saved", "after it is saved"])
def test_a_rotation_that_was_broken_off_leaves_nothing_behind_once_it_is_made_again(
    keystone: Keystone, connect: Connect, breaks_at: str
) -> None:
    team = Team(f"broken off {breaks_at}", 1)
    (person,) = team.people
    team.project_id = connect().ensure_project(team.key, "Broken")
    user = connect().ensure_user(person, "a@example.com", "A").id
    connect().ensure_grant(team.project_id, user, "member")

    def break_off(made: Credential) -> None:
        if breaks_at == "after it is saved":
            team.saved[person].append(made)
        raise KeyboardInterrupt

    for _ in range(3):
        old = team.saved[person][-1].id if team.saved[person] else None
        with pytest.raises(KeyboardInterrupt):
            connect().rotate_credential(team.project_id, user, break_off, old)
    team.link_one(connect(), person)

    assert credentials(keystone, user) == {team.saved[person][-1].id}
    assert sign_in(keystone, team.saved[person][-1]) == 200
