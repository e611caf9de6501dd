"""A region's password goes to the host that it was given for, and to no other."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.kernel import cache
from chalicelib.projects.gateway import Refused
from chalicelib.projects.regions import service as regions
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client
from tests.functional.projects.workflow import created, status

REGIONS = "/admin/v1/regions"
PATH = f"{REGIONS}/openstack/frankfurt"
ROW = "region#openstack#frankfurt"
ADDRESS = "https://cloud.example.com:5000/v3"
PASSWORD = "s3cret-of-the-platform"
NEW = {
    "provider": "openstack",
    "name": "frankfurt",
    "address": ADDRESS,
    "account": "Default/admin",
    "username": "backburner",
    "password": PASSWORD,
}
ELSEWHERE = [
    "https://thief.example/v3",
    "https://cloud.example.com/v3",
    "https://cloud.example.com:5001/v3",
    "https://xcloud.example.com:5000/v3",
]
SAME_HOST = [
    "https://cloud.example.com:5000",
    "https://cloud.example.com:5000/identity/v3",
    "HTTPS://Cloud.Example.com:5000/v3",
    ADDRESS,
]


@pytest.fixture
def platform(client: Client) -> Caller:
    """An admin of the platform, who names no tenant."""
    return client.as_("admin", None)


@pytest.fixture(autouse=True)
def _frankfurt(cloud: LocalCloud, platform: Caller) -> Iterator[None]:
    cache.forget_all()
    assert platform.post(REGIONS, NEW).status_code == 201
    yield
    cache.forget_all()


def stored() -> dict[str, Any]:
    return aws.rows("projects", "#platform")[ROW]


def move(**values: str) -> None:
    """Changes the row past the API, as somebody could who may write to the table."""
    moved = {**stored(), **{name: {"S": value} for name, value in values.items()}}
    aws.put_rows("projects", [moved])
    cache.forget_all()


def errors(answer: Answer) -> dict[str, str]:
    return {each["field"]: each["detail"] for each in answer.json()["errors"]}


@pytest.mark.parametrize("address", ELSEWHERE)
def test_an_address_on_another_host_needs_the_password(platform: Caller, address: str) -> None:
    before = stored()
    answer = platform.patch(PATH, {"address": address, "username": "another"})

    assert answer.status_code == 422
    assert "another host" in errors(answer)["password"]
    assert PASSWORD not in answer.text
    assert stored() == before


@pytest.mark.parametrize("address", ELSEWHERE)
def test_with_the_password_a_region_moves_to_another_host(platform: Caller, address: str) -> None:
    assert platform.patch(PATH, {"address": address, "password": "n3w"}).status_code == 200

    region = regions.find("openstack", "frankfurt")
    assert region
    assert (region.address, region.password) == (address, "n3w")


@pytest.mark.parametrize("address", SAME_HOST)
def test_another_path_on_the_same_host_needs_no_password(platform: Caller, address: str) -> None:
    assert platform.patch(PATH, {"address": address}).status_code == 200

    region = regions.find("openstack", "frankfurt")
    assert region
    assert (region.address, region.password) == (address, PASSWORD)


def test_a_password_does_not_open_for_a_row_whose_address_was_changed() -> None:
    move(address="https://thief.example/v3")

    with pytest.raises(Refused, match="enter the password again") as refused:
        regions.find("openstack", "frankfurt")
    assert PASSWORD not in str(refused.value)

    move(address=ADDRESS)
    region = regions.find("openstack", "frankfurt")
    assert region
    assert region.password == PASSWORD


def test_a_project_in_such_a_region_fails_and_says_what_to_do(
    cloud: LocalCloud, manager: Caller
) -> None:
    move(address="https://thief.example/v3")
    project_id = created(manager, provider="openstack", region="frankfurt")
    cloud.run_until_idle()

    found = status(manager, project_id)
    assert found["status"] == "failed"
    assert "enter the password again" in found["error"]
