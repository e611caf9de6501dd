"""The simulated provider: the same answers everywhere, and trouble for those who ask for it."""

import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from chalicelib.projects import gateway
from chalicelib.projects.gateway import Busy, Credential, Provider, Refused, Region

ROOT = Path(__file__).parents[3]
_regions = count()


def connect(address: str = "") -> Provider:
    """To a region of its own, since limits and counts are a region's."""
    return gateway.connect(Region("simulated", f"region-{next(_regions)}", address, "", "", ""))


def everything(cloud: Provider) -> list[object]:
    project = cloud.ensure_project("k", "Alder")
    user = cloud.ensure_user("p", "ann@example.com", "Ann")
    cloud.ensure_grant(project, user.id, "member")
    first = cloud.rotate_credential(project, user.id, lambda _: None, None)
    second = cloud.rotate_credential(project, user.id, lambda _: None, first.id)
    return [project, user, first, second]


def test_made_twice_everything_has_the_same_ids() -> None:
    region = Region("simulated", "local-1", "", "", "", "")

    assert everything(gateway.connect(region)) == everything(gateway.connect(region))


def test_another_process_knows_the_same_ids() -> None:
    code = (
        "from chalicelib.projects import gateway as g\n"
        "cloud = g.connect(g.Region('simulated', 'local-1', '', '', '', ''))\n"
        "project = cloud.ensure_project('k', 'Alder')\n"
        "user = cloud.ensure_user('p', 'ann@example.com', 'Ann')\n"
        "made = cloud.rotate_credential(project, user.id, lambda _: None, None)\n"
        "print(project, user.id, made.id)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    project, user, made, _ = everything(
        gateway.connect(Region("simulated", "local-1", "", "", "", ""))
    )
    assert run.stdout.split() == [project, user.id, made.id]  # type: ignore[attr-defined]


def test_a_credential_is_saved_before_the_old_one_goes_and_is_a_new_one() -> None:
    cloud, saved = connect(), list[Credential]()
    first = cloud.rotate_credential("p", "u", saved.append, None)
    second = cloud.rotate_credential("p", "u", saved.append, first.id)
    third = cloud.rotate_credential("p", "u", saved.append, second.id)

    assert saved == [first, second, third]
    assert first != second != third
    assert first.secret not in repr(first)


def test_a_user_costs_three_calls_and_a_connection_one_log_in() -> None:
    cloud = connect()
    project = cloud.ensure_project("k", "Alder")
    before = cloud.calls
    for number in range(10):
        user = cloud.ensure_user(f"p{number}", "ann@example.com", "Ann")
        cloud.ensure_grant(project, user.id, "reader")
        cloud.rotate_credential(project, user.id, lambda _: None, None)

    assert (cloud.calls - before, cloud.logins) == (30, 1)


@pytest.mark.parametrize("when", ["user", "grant", "credential", "revoke"])
@pytest.mark.parametrize(("word", "fails"), [("refused", 9), ("busy", 9), ("flaky", 2)])
def test_a_person_who_asks_for_trouble_gets_it_at_that_step(
    word: str, fails: int, when: str
) -> None:
    cloud = connect()
    email = f"{word}-{when}+{next(_regions)}@example.com"
    key = f"person {email}"
    project = cloud.ensure_project("k", "Alder")
    failed: dict[str, int] = {"user": 0, "grant": 0, "credential": 0, "revoke": 0}
    for _ in range(9):
        step = "user"
        try:
            user = cloud.ensure_user(key, email, "Ann")
            step = "grant"
            cloud.ensure_grant(project, user.id, "member")
            step = "credential"
            cloud.rotate_credential(project, user.id, lambda _: None, None)
            step = "revoke"
            cloud.revoke_grant(project, user.id)
        except Refused:
            assert word == "refused"
            failed[step] += 1
        except Busy:
            assert word in ("busy", "flaky")
            failed[step] += 1

    assert failed == {**dict.fromkeys(failed, 0), when: fails}


@pytest.mark.parametrize("email", ["refused@example.com", "refused+team@example.com"])
def test_without_a_step_it_is_the_users_own(email: str) -> None:
    with pytest.raises(Refused):
        connect().ensure_user("p", email, "Ann")


@pytest.mark.parametrize(
    "email", ["refusedly@example.com", "ann@refused.example.com", "busybee@example.com"]
)
def test_who_only_has_such_a_name_has_no_trouble(email: str) -> None:
    everything_of = connect()
    user = everything_of.ensure_user("p", email, "Ann")

    everything_of.ensure_grant("p", user.id, "admin")


@pytest.mark.parametrize("name", ["refused", "refused project"])
def test_a_project_may_ask_for_trouble_too(name: str) -> None:
    with pytest.raises(Refused):
        connect().ensure_project("k", name)
    assert connect().ensure_project("k", "The refused one")


def test_failures_hit_their_share_of_calls() -> None:
    def failing(region: Region) -> list[int]:
        cloud, failed = gateway.connect(region), list[int]()
        for number in range(200):
            try:
                cloud.list_regions()
            except Busy:
                failed.append(number)
        return failed

    region = Region("simulated", f"region-{next(_regions)}", "failures=20", "", "", "")
    assert 20 <= len(failing(region)) <= 60


def test_a_limit_lets_a_seconds_worth_through_at_once_and_then_one_after_another() -> None:
    cloud, through = connect("calls_per_second=20"), 0
    for _ in range(60):
        try:
            cloud.list_regions()
            through += 1
        except Busy:
            pass

    assert 20 <= through <= 23


def test_latency_is_what_was_asked_for() -> None:
    started = time.monotonic()
    connect("latency_ms=50").list_regions()

    assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize(
    "address", ["https://cloud.example.com", "latency_ms=x", "speed=9", "failures=-1", "x"]
)
def test_an_address_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="does not describe"):
        connect(address)
