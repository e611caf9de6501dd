"""Log-ins, refusals and outages of a real Keystone."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel.outbound import web
from chalicelib.projects import gateway
from chalicelib.projects.gateway import Busy, Down, Refused, Region
from tests.peers.install import KEYSTONE
from tests.peers.keystone import server as keystones
from tests.peers.keystone.conftest import Connect
from tests.peers.keystone.server import PASSWORD, Keystone
from tests.peers.keystone.team import Team, credentials, grants, sign_in


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
    with pytest.raises(Refused, match="does not allow our account"):
        cloud.ensure_project("k", "K")


def test_what_is_gone_at_the_provider_is_refused_with_a_reason(connect: Connect) -> None:
    cloud = connect()
    with pytest.raises(Refused, match="refused: 404"):
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
