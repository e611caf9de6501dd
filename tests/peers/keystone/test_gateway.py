"""The port against a real OpenStack Keystone: what it makes, how often, and what it proves."""

import json
import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel import web
from chalicelib.projects import gateway
from chalicelib.projects.gateway import Busy, Credential, Down, Provider, Refused, Region, Role
from chalicelib.projects.gateway.signatures import signed
from tests.peers.install import KEYSTONE
from tests.peers.keystone import server as keystones
from tests.peers.keystone.conftest import Connect
from tests.peers.keystone.server import PASSWORD, Keystone

ROLES: tuple[Role, ...] = ("admin", "member", "reader")
WORDS = {"admin": "manager", "member": "member", "reader": "reader"}
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


class Team:
    """People of ours, and what one connection after another makes of them."""

    def __init__(self, name: str, size: int) -> None:
        self.key = f"project of {name}"
        self.people = [f"{name} {number}" for number in range(size)]
        self.saved: dict[str, list[Credential]] = {each: [] for each in self.people}
        self.project_id = ""
        self.users: dict[str, str] = {}

    def role_of(self, person: str) -> Role:
        return ROLES[self.people.index(person) % 3]

    def link(self, cloud: Provider, *, name: str = "Alder") -> None:
        self.project_id = cloud.ensure_project(self.key, name)
        for person in self.people:
            self.link_one(cloud, person)

    def link_one(self, cloud: Provider, person: str) -> None:
        user = cloud.ensure_user(person, "ann@example.com", "Ann Example")
        cloud.ensure_grant(self.project_id, user.id, self.role_of(person))
        old = self.saved[person][-1].id if self.saved[person] else None
        cloud.rotate_credential(self.project_id, user.id, self.saved[person].append, old)
        self.users[person] = user.id


def grants(keystone: Keystone, project_id: str) -> dict[str, set[str]]:
    """Names of roles by user, as its own listing shows them."""
    found = keystone.look(f"/role_assignments?scope.project.id={project_id}&include_names")
    held: dict[str, set[str]] = {}
    for each in found["role_assignments"]:
        held.setdefault(each["user"]["id"], set()).add(each["role"]["name"])
    return held


def credentials(keystone: Keystone, user_id: str) -> set[str]:
    found = keystone.look(f"/credentials?user_id={user_id}")["credentials"]
    return {each["id"] for each in found}


def sign_in(keystone: Keystone, credential: Credential) -> int:
    """The status of a request that is signed with the credential."""
    body = {"credentials": signed(credential, datetime.now(UTC))}
    try:
        return keystone.ask("POST", "/ec2tokens", body).status_code
    except AssertionError:
        return 401


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
    for _ in range(2):
        connect().delete_project(team.project_id)

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


@pytest.mark.parametrize("account", ["Default", "default", "Default/admin"])
def test_an_administrator_of_a_project_is_found_by_domain_alone_too(
    connect: Connect, account: str
) -> None:
    cloud = connect(account)

    assert cloud.list_regions() == ["region-a"]
    assert cloud.logins == 1


def test_an_administrator_of_a_domain_works_in_that_domain(
    keystone: Keystone, connect: Connect
) -> None:
    body = {"domain": {"name": "Alder Cloud"}}
    domain = keystone.ask("POST", "/domains", body).json()["domain"]["id"]
    who = {"name": "operator", "domain_id": domain, "password": "op3rator"}
    user = keystone.ask("POST", "/users", {"user": who}).json()["user"]["id"]
    admin = keystone.named("/roles", "roles")["admin"]
    keystone.ask("PUT", f"/domains/{domain}/users/{user}/roles/{admin}")
    team = Team("of a domain", 3)

    cloud = connect("Alder Cloud", username="operator", password="op3rator")
    team.link(cloud)

    assert keystone.look(f"/projects/{team.project_id}")["project"]["domain_id"] == domain
    assert sign_in(keystone, team.saved[team.people[0]][-1]) == 200
    assert cloud.logins == 1


def test_a_token_that_was_revoked_costs_one_more_log_in(
    keystone: Keystone, connect: Connect
) -> None:
    cloud: Any = connect()
    cloud.list_regions()
    requests_with = {"X-Subject-Token": cloud._token}
    cloud._web.send(
        "DELETE", "/auth/tokens", headers={**requests_with, "X-Auth-Token": cloud._token}
    )

    assert cloud.list_regions() == ["region-a"]
    assert cloud.logins == 2


def test_a_role_that_moves_elsewhere_is_found_again(keystone: Keystone, connect: Connect) -> None:
    body = {"name": "mover", "domain_id": "default", "password": "m0ver-password"}
    user = keystone.ask("POST", "/users", {"user": body}).json()["user"]["id"]
    admin = keystone.named("/roles", "roles")["admin"]
    places = [connect().ensure_project(f"place {n}", f"Place {n}") for n in range(2)]
    for place in places:
        keystone.ask("PUT", f"/projects/{place}/users/{user}/roles/{admin}")
        cloud = connect(username="mover", password="m0ver-password")
        assert cloud.list_regions() == ["region-a"]
        assert cloud.logins <= 2
        keystone.ask("DELETE", f"/projects/{place}/users/{user}/roles/{admin}")


@pytest.mark.parametrize(
    ("account", "who"),
    [
        ("Default", {"password": "wrong-passw0rd"}),
        ("Default", {"username": "nobody"}),
        ("Nowhere", {}),
        ("Default/nothing", {}),
    ],
)
def test_a_log_in_that_is_refused_says_what_to_check_and_no_secret(
    connect: Connect, account: str, who: dict[str, str]
) -> None:
    cloud = connect(account, **who)

    with pytest.raises(Refused, match="check account, user and password") as refused:
        cloud.list_regions()
    assert who.get("password", PASSWORD) not in str(refused.value)
    assert cloud.logins <= 2  # the second where an earlier one told which role to ask for


def test_an_account_that_may_do_nothing_is_refused_with_a_reason(
    keystone: Keystone, connect: Connect
) -> None:
    body = {"name": "powerless", "domain_id": "default", "password": "p0werless"}
    user = keystone.ask("POST", "/users", {"user": body}).json()["user"]["id"]
    cloud = connect(username="powerless", password="p0werless")
    with pytest.raises(Refused, match="no role"):
        cloud.ensure_project("k", "K")

    project = connect().ensure_project("k-powerless", "K")
    reader = keystone.named("/roles", "roles")["reader"]
    keystone.ask("PUT", f"/projects/{project}/users/{user}/roles/{reader}")
    cloud = connect(username="powerless", password="p0werless")
    with pytest.raises(Refused, match="does not allow this"):
        cloud.ensure_project("k", "K")


def test_what_is_gone_at_the_provider_is_refused_with_a_reason(connect: Connect) -> None:
    cloud = connect()
    with pytest.raises(Refused, match="Could not find project"):
        cloud.ensure_grant("0" * 32, cloud.ensure_user("p-gone", "a@example.com", "A").id, "member")


def test_a_service_of_another_kind_is_refused(keystone: Keystone) -> None:
    with (
        gateway.connect(
            Region("openstack", "r", keystone.address.replace("/v3", "/x"), "Default", "a", "b")
        ) as cloud,
        pytest.raises(Refused, match="404"),
    ):
        cloud.list_regions()


def test_a_keystone_that_is_stopped_is_down_and_works_on_once_it_continues(
    keystone: Keystone, connect: Connect
) -> None:
    team = Team("stopped", 4)
    cloud = connect()
    team.project_id = cloud.ensure_project(team.key, "Stopped")
    team.link_one(cloud, team.people[0])
    keystone.pause()
    try:
        started = time.monotonic()
        with pytest.raises(Down, match="cannot be reached") as silent:
            team.link_one(cloud, team.people[1])
        assert time.monotonic() - started < 6  # two tries of a second, and the waits
        assert silent.value.after_seconds > 0
    finally:
        keystone.resume()

    team.link(connect())
    assert len(grants(keystone, team.project_id)) == 4
    for person in team.people:
        assert len(credentials(keystone, team.users[person])) == 1


def test_a_killed_keystone_is_down_and_nothing_is_done_twice_after_its_return(
    keystone: Keystone, connect: Connect
) -> None:
    team = Team("killed", 6)
    cloud = connect()
    team.project_id = cloud.ensure_project(team.key, "Killed")
    for person in team.people[:3]:
        team.link_one(cloud, person)
    keystone.kill()
    with pytest.raises(Down):
        team.link_one(cloud, team.people[3])

    keystone.start()
    team.link_one(cloud, team.people[3])  # the token has outlived it
    assert cloud.logins == 1
    team.link(connect())
    assert len(grants(keystone, team.project_id)) == 6
    for person in team.people:
        assert credentials(keystone, team.users[person]) == {team.saved[person][-1].id}


def test_no_secret_is_told_to_anyone(
    keystone: Keystone,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    team = Team("discreet", 2)
    cloud: Any = connect()
    team.link(cloud)
    made = team.saved[team.people[0]][-1]
    with pytest.raises(Refused) as refused:
        cloud.ensure_grant(team.project_id, "0" * 32, "member")

    told = f"{caplog.text} {capfd.readouterr()} {refused.value!r} {made!r} {keystone.region()!r}"
    for secret in (PASSWORD, cloud._token, *(each[-1].secret for each in team.saved.values())):
        assert secret not in told


def test_where_signatures_cannot_be_tried_out_the_credential_is_read_back(tmp_path: Path) -> None:
    """Keystone answers 503 to them unless it is configured for them."""
    with keystones.running(KEYSTONE, tmp_path / "state", methods="") as keystone:
        team = Team("unsigned", 3)
        for _ in range(3):
            with gateway.connect(keystone.region()) as cloud:
                team.link(cloud)
                assert cloud.calls <= 3 * 3 + 9
        for person in team.people:
            assert credentials(keystone, team.users[person]) == {team.saved[person][-1].id}


def test_a_limit_is_told_apart_from_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert issubclass(Down, Busy)
    assert json.dumps({"seconds": Busy("x", after_seconds=7).after_seconds}) == '{"seconds": 7}'
    assert web.LONGEST_WAIT_SECONDS < 60
