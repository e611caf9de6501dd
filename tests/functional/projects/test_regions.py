"""Regions as the platform's admins keep them: passwords stay inside, addresses lead outside."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.kernel import cache
from chalicelib.kernel.outbound import web
from chalicelib.projects import gateway
from chalicelib.projects.gateway import Refused, Region
from chalicelib.projects.regions import service as regions
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client, at_once, aws_calls
from tests.unit.test_addresses import HOSTILE

REGIONS = "/admin/v1/regions"
PASSWORD = "s3cret-of-the-platform"
NEW = {
    "provider": "openstack",
    "name": "frankfurt",
    "address": "https://cloud.example.com:5000/v3",
    "account": "Default/admin",
    "username": "backburner",
    "password": PASSWORD,
}
SHOWN = {key: value for key, value in NEW.items() if key != "password"}


@pytest.fixture
def platform(client: Client) -> Caller:
    """An admin of the platform, who names no tenant."""
    return client.as_("admin", None)


@pytest.fixture(autouse=True)
def _nothing_remembered(cloud: LocalCloud) -> Iterator[None]:
    cache.forget_all()
    yield
    cache.forget_all()


def create(platform: Caller, **values: Any) -> Answer:
    return platform.post(REGIONS, {**NEW, **values})


def test_a_region_is_created_read_listed_changed_and_deleted(platform: Caller) -> None:
    created = create(platform)
    assert created.status_code == 201
    assert created.json()["data"].items() >= SHOWN.items()
    assert created.headers["Location"].endswith(f"{REGIONS}/openstack/frankfurt")
    assert aws_calls(created) == 2  # a data key for the password, and the row

    path = f"{REGIONS}/openstack/frankfurt"
    assert platform.get(path).json()["data"] == created.json()["data"]
    assert [each["name"] for each in platform.listed(REGIONS)] == ["frankfurt"]
    changed = platform.patch(path, {"username": "another", "password": "n3w-password"})
    assert changed.json()["data"]["username"] == "another"
    found = regions.find("openstack", "frankfurt")
    assert found
    assert (found.username, found.password, found.address) == (
        "another",
        "n3w-password",
        NEW["address"],
    )
    assert platform.delete(path).status_code == 200
    assert platform.get(path).status_code == 404
    assert regions.find("openstack", "frankfurt") is None


def test_the_password_is_never_shown_and_never_stored_as_it_is(
    platform: Caller, capfd: pytest.CaptureFixture[str]
) -> None:
    path = f"{REGIONS}/openstack/frankfurt"
    answers = [
        create(platform),
        create(platform),
        create(platform, address="https://10.0.0.1"),
        create(platform, name="x/y"),
        platform.get(path),
        platform.get(REGIONS),
        platform.patch(path, {"password": PASSWORD, "account": "Other"}),
        platform.send("POST", REGIONS, json=NEW, headers={"Idempotency-Key": "k"}),
        platform.delete(path),
        platform.send("POST", REGIONS, json=NEW, headers={"Idempotency-Key": "k"}),
    ]
    create(platform)

    for answer in answers:
        assert PASSWORD not in answer.text
    rows = [aws.rows(table, "#platform") for table in ("projects", "kernel")]
    assert "region#openstack#frankfurt" in rows[0]
    assert PASSWORD not in json.dumps(rows, default=str)
    assert PASSWORD.encode() not in rows[0]["region#openstack#frankfurt"]["sealed_password"]["B"]
    assert PASSWORD not in str(capfd.readouterr())
    assert PASSWORD not in repr(regions.find("openstack", "frankfurt"))


def test_an_idempotency_key_stores_no_password(platform: Caller) -> None:
    headers = {"Idempotency-Key": "once"}
    first = platform.send("POST", REGIONS, json=NEW, headers=headers)
    again = platform.send("POST", REGIONS, json=NEW, headers=headers)

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert PASSWORD not in json.dumps(aws.rows("kernel", "#platform"), default=str)


@pytest.mark.parametrize("address", HOSTILE, ids=ascii)
def test_a_hostile_address_is_a_422_with_a_reason_and_nothing_is_stored(
    platform: Caller, address: str
) -> None:
    answer = create(platform, address=address)

    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["field"] == "address"
    assert fault["detail"].startswith("must ")
    assert aws.rows("projects", "#platform") == {}


def test_an_address_cannot_become_hostile_later(platform: Caller) -> None:
    create(platform)
    path = f"{REGIONS}/openstack/frankfurt"

    assert platform.patch(path, {"address": "https://169.254.169.254"}).status_code == 422
    assert platform.get(path).json()["data"]["address"] == NEW["address"]


def test_a_stored_address_that_is_not_allowed_any_more_is_refused_when_it_is_used(
    monkeypatch: pytest.MonkeyPatch, platform: Caller
) -> None:
    with monkeypatch.context() as allowed:
        for module in (web, regions):
            given = replace(module.settings, private_addresses=True)
            allowed.setattr(module, "settings", given)
        assert create(platform, address="http://127.0.0.1:5000").status_code == 201

    region = regions.find("openstack", "frankfurt")
    assert region
    with pytest.raises(Refused, match="must begin with https"):
        gateway.connect(region)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"provider": value}, "provider") for value in ("simulated", "aws", "", None, 7)]
    + [({"name": value}, "name") for value in ("", "a b", "a#b", "../x", "-a", "a" * 64, None)]
    + [({"address": value}, "address") for value in (None, 7, "x" * 501)]
    + [({"username": value}, "username") for value in ("", "a\r\nb", None)]
    + [({"account": value}, "account") for value in ("", "\x00")]
    + [({"password": value}, "password") for value in ("", "x" * 256, None)],
    ids=repr,
)
def test_a_value_that_cannot_be_taken_is_a_422_that_names_its_field(
    platform: Caller, change: dict[str, Any], field: str
) -> None:
    answer = create(platform, **change)

    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_of_eight_who_create_one_region_one_does(platform: Caller) -> None:
    callers = [platform.in_a_session_of_its_own() for _ in range(8)]
    answers = at_once(*(partial(create, caller) for caller in callers))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


def test_a_change_that_is_stale_is_refused(platform: Caller) -> None:
    tag = create(platform).headers["ETag"]
    path = f"{REGIONS}/openstack/frankfurt"
    assert platform.patch(path, {"account": "A"}, headers={"If-Match": tag}).status_code == 200

    assert platform.patch(path, {"account": "B"}, headers={"If-Match": tag}).status_code == 412
    assert platform.send("DELETE", path, headers={"If-Match": tag}).status_code == 412
    assert platform.get(path).json()["data"]["account"] == "A"


@pytest.mark.parametrize("role", ["manager", "staff", "customer"])
def test_only_the_platforms_admins_see_regions(client: Client, platform: Caller, role: str) -> None:
    create(platform)
    caller, path = client.as_(role), f"{REGIONS}/openstack/frankfurt"
    answers = [
        caller.get(REGIONS),
        caller.get(path),
        caller.post(REGIONS, {**NEW, "name": "mine"}),
        caller.patch(path, {"address": "https://evil.example.com"}),
        caller.delete(path),
    ]

    assert [answer.status_code for answer in answers] == [403] * 5


@pytest.mark.parametrize("name", ["nowhere", "a%23b", "%20", "x" * 90])
def test_a_region_that_is_not_there_is_a_404(platform: Caller, name: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        body = {"json": {}} if method == "PATCH" else {}
        assert platform.send(method, f"{REGIONS}/openstack/{name}", **body).status_code == 404


def test_regions_come_in_pages(platform: Caller) -> None:
    for number in range(5):
        create(platform, name=f"r{number}")

    pages = list(platform.pages(REGIONS, per_page=2))
    assert [each["name"] for page in pages for each in page] == [f"r{n}" for n in range(5)]


def test_simulated_regions_come_from_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = replace(
        regions.own_settings,
        simulated_regions="local-1, local-2",
        simulated_latency_ms=7,
        simulated_calls_per_second=8,
        simulated_failures=9,
    )
    monkeypatch.setattr(regions, "own_settings", given)

    found = regions.find("simulated", "local-2")
    assert found == Region(
        "simulated", "local-2", "latency_ms=7&calls_per_second=8&failures=9", "", "", ""
    )
    assert regions.find("simulated", "local-3") is None
    assert regions.is_known("simulated", "local-1")
    with gateway.connect(found) as cloud:
        assert cloud.list_regions() == ["local-2"]


def test_what_is_known_of_a_region_is_read_once_a_minute_and_needs_no_key_for_its_password(
    platform: Caller,
) -> None:
    from infra.local import faults

    create(platform)
    faults.clear()
    for _ in range(5):
        assert regions.is_known("openstack", "frankfurt")
        assert not regions.is_known("openstack", "#" * 64)

    assert {name: tries["through"] for name, tries in faults.counts().items()} == {
        "dynamodb.GetItem": 1
    }


def test_a_region_is_known_at_once_after_it_was_created(platform: Caller) -> None:
    assert not regions.is_known("openstack", "frankfurt")
    create(platform)
    assert regions.is_known("openstack", "frankfurt")


@pytest.mark.parametrize("provider", ["", "aws", "OpenStack", "simulated "])
def test_a_provider_that_nobody_speaks_to_is_refused(provider: str) -> None:
    with pytest.raises(Refused, match="no provider"):
        gateway.connect(Region(provider, "r", "https://cloud.example.com", "", "", ""))
