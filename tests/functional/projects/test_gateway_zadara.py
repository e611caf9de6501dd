"""The port over zCompute's dialect, against a small cluster that cites the public documents.

What they do not tell is modelled on Keystone there as here: not verified on a live cluster.
"""

from collections.abc import Iterator

import msgspec
import pytest

from chalicelib.projects import gateway
from chalicelib.projects.gateway import Credential, Down, Provider, Refused
from tests.functional.projects import zadara
from tests.functional.projects.zadara import Cluster
from tests.functional.web.sessions import setting


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    setting(monkeypatch, private_addresses=True)
    with zadara.running(Cluster()) as started:
        yield started


def link(cloud: Provider, people: int, old: dict[str, str] | None = None) -> dict[str, Credential]:
    """Everyone into one project; the credentials by the user's id."""
    project, made = cloud.ensure_project("k", "Alder"), dict[str, Credential]()
    for number in range(people):
        user = cloud.ensure_user(f"p{number}", f"p{number}@example.com", "Ann")
        cloud.ensure_grant(project, user.id, "admin" if number == 0 else "member")
        kept = (old or {}).get(user.id)
        made[user.id] = cloud.rotate_credential(project, user.id, lambda _: None, kept)
    return made


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare lists", "named lists"])
@pytest.mark.parametrize("account", ["alder", "alder/admin"])
def test_made_twice_there_is_one_of_each(cluster: Cluster, account: str, *, wrapped: bool) -> None:
    cluster.wrapped = wrapped
    with gateway.connect(cluster.region(account=account)) as cloud:
        first = link(cloud, 5)
    with gateway.connect(cluster.region(account=account)) as cloud:
        second = link(cloud, 5, {user: made.id for user, made in first.items()})
        assert cloud.logins == 1

    assert list(first) == list(second)
    assert (len(cluster.projects), len(cluster.users), len(cluster.grants)) == (1, 5, 5)
    assert set(cluster.credentials) == {made.id for made in second.values()}
    assert sorted(role for _, _, role in cluster.grants) == ["_member_"] * 4 + ["tenant_admin"]


def test_a_user_costs_at_most_three_calls_and_a_connection_one_log_in(cluster: Cluster) -> None:
    """New ones, and the same ones with new credentials."""
    old: dict[str, str] = {}
    for _ in range(2):
        cluster.asked.clear()
        with gateway.connect(cluster.region()) as cloud:
            old = {user: made.id for user, made in link(cloud, 20, old).items()}
            assert cloud.calls <= 3 * 20 + 6
            assert cloud.logins == cluster.asked.count("POST /auth") == 1


def test_users_are_made_with_a_password_that_the_cluster_takes_and_nobody_knows(
    cluster: Cluster,
) -> None:
    with gateway.connect(cluster.region()) as cloud:
        cloud.ensure_user("p", "ann@example.com", "Ann")

    (user,) = cluster.users.values()
    assert user["email"] == "ann@example.com"
    assert user["must_change_password"] is True


def test_a_role_that_changes_leaves_only_the_new_one(cluster: Cluster) -> None:
    with gateway.connect(cluster.region()) as cloud:
        project = cloud.ensure_project("k", "Alder")
        user = cloud.ensure_user("p", "ann@example.com", "Ann").id
        for role, word in (("admin", "tenant_admin"), ("member", "_member_")):
            cloud.ensure_grant(project, user, role)  # type: ignore[arg-type]
            assert cluster.grants == {(project, user, word)}
        cloud.revoke_grant(project, user)

    assert cluster.grants == set()


def test_an_account_with_a_second_factor_is_refused_with_a_reason(cluster: Cluster) -> None:
    cluster.second_factor = True
    with (
        gateway.connect(cluster.region()) as cloud,
        pytest.raises(Refused, match="second factor"),
    ):
        cloud.ensure_project("k", "Alder")


def test_a_log_in_that_is_refused_says_what_to_check(cluster: Cluster) -> None:
    with (
        gateway.connect(cluster.region(password="another")) as cloud,
        pytest.raises(Refused, match="check account"),
    ):
        cloud.ensure_project("k", "Alder")


def test_a_token_that_is_over_costs_one_more_log_in(cluster: Cluster) -> None:
    with gateway.connect(cluster.region()) as cloud:
        project = cloud.ensure_project("k", "Alder")
        cluster.tokens.clear()

        assert cloud.ensure_project("k", "Alder") == project
        assert cloud.logins == 2


def test_a_project_is_suspended_deleted_and_gone(cluster: Cluster) -> None:
    with gateway.connect(cluster.region()) as cloud:
        project = cloud.ensure_project("k", "Alder")
        cloud.ensure_project("k", "Alder", enabled=False)
        assert cluster.projects[project]["enabled"] is False
        assert cloud.find_project("k") == project
        for _ in range(2):
            cloud.delete_project(project)
        assert cluster.projects == {}
        assert cloud.find_project("k") is None
        assert cloud.list_regions() == ["symphony-1"]


def test_a_cluster_that_is_gone_is_down(cluster: Cluster) -> None:
    region = msgspec.structs.replace(cluster.region(), address="http://127.0.0.1:9")
    with gateway.connect(region) as cloud, pytest.raises(Down):
        cloud.ensure_project("k", "Alder")
