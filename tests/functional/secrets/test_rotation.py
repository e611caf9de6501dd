"""The signing keys are rotated while links are out, and nobody's link is refused."""

from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from threading import Barrier

import pytest

from chalicelib.kernel import keyring
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.keyring import Ring
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from infra.ops import keys
from tests.functional import aws
from tests.functional.client import Caller, Client
from tests.functional.people.invitations import by_looking, newest_token
from tests.functional.people.uploads import imported

LINKS = 200
MINUTES = 20  #: a rotation takes ten
EMAILS = [f"user{number}@example.com" for number in range(LINKS)]


def stored(parameter: str) -> list[str]:
    answer = aws.client("ssm").get_parameter(Name=parameter, WithDecryption=True)
    return str(answer["Parameter"]["Value"]).split(",")


def rotate() -> str:
    return keys.rotate(Namespace())


class Instances:
    """Two instances with caches of their own, of which one answers at a time."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.longest = Ring(keyring._from_ssm, 360)  #: keeps keys as long as any instance may
        self.shortest = Ring(keyring._from_ssm, 240)

    def answer_by(self, ring: Ring) -> None:
        self._patch.setattr(keyring, "_ring", ring)

    def knows(self, ring: Ring) -> int:
        return len(ring._keys)


@pytest.fixture
def instances(monkeypatch: pytest.MonkeyPatch) -> Instances:
    return Instances(monkeypatch)


@pytest.mark.thorough
def test_of_200_links_none_is_refused_by_two_instances_while_the_keys_rotate(
    cloud: LocalCloud, client: Client, manager: Caller, parameter: str, instances: Instances
) -> None:
    rows = "".join(f"Ann,{email},staff\n" for email in EMAILS)
    assert imported(cloud, manager, f"name,email,role\n{rows}")["done"] == LINKS
    ids = {user["email"]: user["id"] for user in manager.users()}
    out = {email: newest_token(email) for email in EMAILS}
    both = cycle((instances.longest, instances.shortest))
    for ring in islice(both, 2):
        ring.keys()
    assert "Added" in rotate()

    signatures = set()
    for minute, signer in zip(range(MINUTES), both, strict=False):
        cloud.advance(60)
        anew = EMAILS[minute]
        instances.answer_by(signer)
        answer = manager.post(f"/admin/v1/users/{ids[anew]}/resend-invitation")
        assert answer.status_code == 202, answer.text
        cloud.run_until_idle()
        out[anew] = newest_token(anew)
        signatures.add(keyring.signing_key())
        for ring in (instances.longest, instances.shortest):
            instances.answer_by(ring)
            for email in (*EMAILS[minute::MINUTES], *EMAILS[: minute + 1][-2:]):
                assert by_looking(client, out[email]).status_code == 200, (minute, email)
    assert signatures == set(stored(parameter)), "the old key signed, and then the new one"


def test_an_instance_that_has_not_read_the_new_key_yet_is_never_shown_its_signature(
    cloud: LocalCloud, parameter: str, instances: Instances
) -> None:
    late, early = instances.longest, instances.shortest
    late.keys()
    rotate()
    (new, _) = stored(parameter)
    while new not in late.keys():  # noqa: SIM118  a method of the ring's
        instances.answer_by(early)
        assert keyring.signing_key() != new
        cloud.advance(20)
    assert early.keys() == late.keys()
    assert keyring.signing_key() != new
    cloud.advance(300)
    assert keyring.signing_key() == new


def test_a_rotation_shows_what_it_did_and_no_secret(cloud: LocalCloud, parameter: str) -> None:
    told = rotate()
    new, old = stored(parameter)

    assert old == "local-signing-key"
    assert [line.split()[-1] for line in told.splitlines()[-1:]] == ["signs"]
    assert "verifies, signs from" in told.splitlines()[-2]
    cloud.advance(600)
    shown = keys.show(Namespace()).splitlines()
    assert [line.split()[-1] for line in shown] == ["signs", "verifies"]
    for text in (told, "\n".join(shown)):
        assert new.partition(":")[2] not in text
        assert old not in text


def test_a_second_rotation_waits_until_the_first_is_over(cloud: LocalCloud, parameter: str) -> None:
    rotate()
    with pytest.raises(Conflict, match="signs in"):
        rotate()
    cloud.advance(600)
    rotate()
    assert len(stored(parameter)) == 3


def test_old_keys_go_with_a_rotation_when_their_last_link_has_expired(
    cloud: LocalCloud, parameter: str
) -> None:
    rotate()
    cloud.advance(8 * 86_400 + 600)
    assert "Dropped 1" in rotate()
    assert "local-signing-key" not in stored(parameter)
    assert len(stored(parameter)) == 2


def test_of_two_rotations_at_once_neither_loses_the_others_key(
    cloud: LocalCloud, parameter: str
) -> None:
    faults.add(Fault("ssm", "PutParameter", "delay", times=1, seconds=1.0))
    barrier = Barrier(2)

    def run() -> str:
        barrier.wait(10)
        return rotate()

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda _: run(), range(2)))

    added = {text.partition("Added ")[2].partition(".")[0] for text in told}
    left = {keys._fingerprint(key) for key in stored(parameter)}
    assert len(added) == 2
    assert added < left
    assert len(left) == 3
