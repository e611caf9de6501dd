"""The port against a real OpenStack Keystone: what it makes, and how often."""

import threading

import pytest

from chalicelib.projects.gateway import Provider
from tests.peers.keystone.conftest import Connect
from tests.peers.keystone.server import Keystone
from tests.peers.keystone.team import ROLES, WORDS, Team, credentials, grants, sign_in

HOSTILE_NAMES = [
    "x/../y",
    "<script>alert(1)</script>",
    "'; DROP TABLE project; --",
    "Ünïcödé 名前 🚀",
    "a" * 200,
    "{{7*7}} %s %n",
    "admin",
    'quote " and \\ backslash',
]


def test_thirty_users_get_a_role_and_credentials_that_work(
    keystone: Keystone, connect: Connect
) -> None:
    team = Team("thirty", 30)
    keystone.forget_requests()
    cloud = connect()
    team.link(cloud)

    assert grants(keystone, team.project_id) == {
        team.users[each]: {WORDS[team.role_of(each)]} for each in team.people
    }
    for person, saved in team.saved.items():
        assert credentials(keystone, team.users[person]) == {saved[-1].id}
        assert sign_in(keystone, saved[-1]) == 200
    assert cloud.logins == 1


def test_a_user_costs_at_most_three_calls_and_a_connection_one_log_in(
    keystone: Keystone, connect: Connect
) -> None:
    """New ones, the same ones in a second project, and once more with new credentials."""
    first, second = Team("cheap", 30), Team("cheap again", 0)
    second.people = first.people
    second.saved = {each: [] for each in first.people}
    for team in (first, second, first):
        keystone.forget_requests()
        cloud = connect("Default/admin")
        team.link(cloud)
        around = 5  # project looked up and made, roles, grants, and users that exist
        assert cloud.calls <= 3 * 30 + around + 1
        assert (cloud.logins, keystone.logins()) == (1, 1)
        assert len(keystone.asked()) == cloud.calls + 1


def test_made_twice_there_is_one_of_each(keystone: Keystone, connect: Connect) -> None:
    team = Team("twice", 6)
    team.link(connect())
    before = (team.project_id, dict(team.users))
    team.link(connect())
    team.link(connect())

    assert (team.project_id, team.users) == before
    names = [name for name in keystone.named("/projects", "projects") if name.startswith("Alder")]
    assert len(names) == len(set(names))
    assert len(grants(keystone, team.project_id)) == 6
    for person in team.people:
        assert credentials(keystone, team.users[person]) == {team.saved[person][-1].id}


def test_two_at_once_make_one_of_each(keystone: Keystone, connect: Connect) -> None:
    teams = [Team("at once", 8) for _ in range(3)]
    barrier, failed = threading.Barrier(3), []

    def run(team: Team, cloud: Provider) -> None:
        try:
            barrier.wait(10)
            team.project_id = cloud.ensure_project(team.key, "At once")
            for person in team.people:
                user = cloud.ensure_user(person, "a@example.com", "A")
                cloud.ensure_grant(team.project_id, user.id, "member")
                team.users[person] = user.id
        except Exception as error:  # noqa: BLE001  told in the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=[team, connect()]) for team in teams]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert failed == []
    assert len({team.project_id for team in teams}) == 1
    assert teams[0].users == teams[1].users == teams[2].users


def test_a_role_that_changes_leaves_only_the_new_one(keystone: Keystone, connect: Connect) -> None:
    project = connect().ensure_project("k-roles", "Roles")
    user = connect().ensure_user("p-roles", "a@example.com", "A").id
    for role in (*ROLES, *ROLES[::-1]):
        connect().ensure_grant(project, user, role)
        assert grants(keystone, project) == {user: {WORDS[role]}}


def test_a_manager_of_ours_is_no_administrator_of_the_cloud(
    keystone: Keystone, connect: Connect
) -> None:
    project = connect().ensure_project("k-power", "Power")
    user = connect().ensure_user("p-power", "a@example.com", "A").id
    connect().ensure_grant(project, user, "admin")

    assert "admin" not in grants(keystone, project)[user]


def test_taking_part_ends_without_a_trace(keystone: Keystone, connect: Connect) -> None:
    team = Team("leaving", 2)
    team.link(connect())
    leaving, staying = team.people
    for _ in range(2):  # twice is once
        cloud = connect()
        cloud.revoke_grant(team.project_id, team.users[leaving])
        cloud.drop_credential(team.users[leaving], team.saved[leaving][-1].id)

    assert list(grants(keystone, team.project_id)) == [team.users[staying]]
    assert credentials(keystone, team.users[leaving]) == set()
    assert sign_in(keystone, team.saved[leaving][-1]) == 401
    assert sign_in(keystone, team.saved[staying][-1]) == 200


def test_a_project_is_deleted_with_its_grants_and_twice_is_once(
    keystone: Keystone, connect: Connect
) -> None:
    team = Team("ending", 2)
    team.link(connect())
    assert connect().find_project(team.key) == team.project_id
    for _ in range(2):
        connect().delete_project(team.project_id)

    assert connect().find_project(team.key) is None

    assert team.project_id not in keystone.named("/projects", "projects").values()
    assert sign_in(keystone, team.saved[team.people[0]][-1]) == 401
    assert connect().ensure_project(team.key, "Alder") != team.project_id


def test_a_suspended_project_lets_nobody_in_and_a_resumed_one_does_again(
    keystone: Keystone, connect: Connect
) -> None:
    team = Team("suspended", 1)
    team.link(connect())
    credential = team.saved[team.people[0]][-1]
    for enabled, status in ((False, 401), (False, 401), (True, 200)):
        found = connect().ensure_project(team.key, "Alder", enabled=enabled)
        assert found == team.project_id
        assert sign_in(keystone, credential) == status


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_any_name_can_be_given_to_projects_and_people(
    keystone: Keystone, connect: Connect, name: str
) -> None:
    project = connect().ensure_project(f"key of {name}", name)
    user = connect().ensure_user(f"key of {name}", "ann@example.com", name)
    connect().ensure_grant(project, user.id, "member")

    shown = keystone.look(f"/projects/{project}")["project"]
    assert shown["description"] == name
    assert keystone.look(f"/users/{user.id}")["user"]["description"] == name
    assert connect().ensure_project(f"key of {name}", name) == project
    assert connect().ensure_user(f"key of {name}", "ann@example.com", name) == user


def test_two_tenants_projects_of_one_name_are_two(connect: Connect) -> None:
    assert connect().ensure_project("t1's", "Same") != connect().ensure_project("t2's", "Same")


def test_a_project_is_found_again_under_a_new_name_on_either_side(
    keystone: Keystone, connect: Connect
) -> None:
    project = connect().ensure_project("renamed", "Before")
    assert connect().ensure_project("renamed", "After") == project
    keystone.ask("PATCH", f"/projects/{project}", {"project": {"name": "by an operator"}})

    assert connect().ensure_project("renamed", "After") == project
    assert keystone.look(f"/projects/{project}")["project"]["name"].startswith("After ")
