"""A new tenant's status, and defaults that name what there is."""

import zoneinfo
from collections.abc import Iterator

import pytest

from chalicelib.kernel.auth import tenancy
from chalicelib.projects import rules
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, Client

TENANTS = "/admin/v1/tenants"


@pytest.fixture
def platform(client: Client) -> Caller:
    """An admin of the platform, who names no tenant."""
    return client.as_("admin", None)


def faults(caller: Caller, **defaults: str) -> list[str]:
    """The fields that are refused, of a new tenant and of one that is changed: the same."""
    made = caller.post(TENANTS, {"name": "Cedar", "defaults": defaults})
    changed = caller.patch(f"{TENANTS}/t1", {"defaults": defaults})
    found: list[list[str]] = []
    for answer, good in ((made, 201), (changed, 200)):
        assert answer.status_code in (good, 422), answer.text
        found.append([each["field"] for each in answer.json().get("errors", ())])
    assert found[0] == found[1]
    return found[0]


@pytest.mark.local  # no other tenants may be there
@pytest.mark.parametrize("status", ["active", "suspended"])
def test_a_tenant_is_created_in_the_status_that_is_asked_for(
    client: Client, platform: Caller, status: str
) -> None:
    made = platform.post(TENANTS, {"id": "cedar", "name": "Cedar", "status": status})

    assert made.json()["data"]["status"] == status
    assert platform.get(f"{TENANTS}/cedar").json()["data"] == made.json()["data"]
    admitted = client.as_("manager", "cedar").get("/admin/v1/users").status_code == 200
    assert admitted is (status == "active")


@pytest.mark.local  # the path names the local tenant
@pytest.mark.parametrize(
    "time_zone", ["", "UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5"]
)
def test_a_time_zone_is_one_that_there_is(platform: Caller, time_zone: str) -> None:
    assert faults(platform, time_zone=time_zone) == []


@pytest.mark.local  # the path names the local tenant
@pytest.mark.parametrize(
    "time_zone",
    [
        *("Mars/Base", "Europe", "Europe/Berlin/Mitte", "europe/berlin", " UTC", "UTC\u00a0"),
        *("../etc/passwd", "/etc/localtime", "localtime", "posixrules", "zone.tab", "+01:00", "a"),
        *("Europe/Berlin\n", "E" * 101),
    ],
)
def test_a_time_zone_that_there_is_not_is_refused(platform: Caller, time_zone: str) -> None:
    assert faults(platform, time_zone=time_zone) == ["defaults.time_zone"]


@pytest.fixture
def _no_time_zones() -> Iterator[None]:
    """As in an image without tzdata."""
    zoneinfo.ZoneInfo.clear_cache()
    zoneinfo.reset_tzpath(to=())
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.local  # the path names the local tenant
@pytest.mark.usefixtures("_no_time_zones")
def test_where_the_system_knows_no_time_zones_their_form_decides(platform: Caller) -> None:
    assert faults(platform, time_zone="Europe/Berlin") == []
    assert faults(platform, time_zone="berlin time") == ["defaults.time_zone"]


@pytest.mark.local  # the path names the local tenant
@pytest.mark.parametrize("provider", ["", "openstack", "zadara", "simulated"])
def test_a_provider_is_one_that_is_spoken_to(platform: Caller, provider: str) -> None:
    assert faults(platform, provider=provider) == []


@pytest.mark.local  # the path names the local tenant
@pytest.mark.parametrize("provider", ["nope", "OpenStack", "open stack"])
def test_a_provider_that_nobody_speaks_to_is_refused_with_the_names_of_the_others(
    platform: Caller, provider: str
) -> None:
    assert faults(platform, provider=provider) == ["defaults.provider"]
    answer = platform.post(TENANTS, {"name": "Cedar", "defaults": {"provider": provider}})
    named = ", ".join(sorted(rules.PROVIDERS))
    assert answer.json()["errors"][0]["detail"] == f"must be one of {named}"


@pytest.mark.local  # the path names the local tenant
def test_what_there_is_not_is_told_with_all_other_faults(platform: Caller) -> None:
    defaults = {"time_zone": "Mars/Base", "provider": "nope", "sender": 7}
    answer = platform.post(TENANTS, {"name": "", "status": "bogus", "defaults": defaults})

    assert {each["field"] for each in answer.json()["errors"]} == {
        "name",
        "status",
        "defaults.time_zone",
        "defaults.provider",
        "defaults.sender",
    }


@pytest.mark.local  # the path names the local tenant
def test_a_domains_default_stands_beside_the_kernels_in_the_tenants_row(platform: Caller) -> None:
    """Each under its own name, as in the rows of every release before."""
    given = {
        "provider": "openstack",
        "region": "frankfurt",
        "time_zone": "Europe/Berlin",
        "sender": "Alder",
    }
    assert platform.patch(f"{TENANTS}/t1", {"defaults": given}).status_code == 200

    row = aws.rows("kernel", "#tenants")["t1"]
    assert {name: row[name] for name in given} == {
        name: {"S": text} for name, text in given.items()
    }


def test_a_row_of_another_release_is_read_and_what_is_unknown_in_it_is_kept(
    cloud: LocalCloud, platform: Caller
) -> None:
    """One without a default that was added since, and with one that was added later."""
    row = aws.rows("kernel", "#tenants")["t1"]
    row = {name: value for name, value in row.items() if name not in ("region", "sender")}
    aws.put_rows("kernel", [{**row, "provider": {"S": "zadara"}, "not_known_yet": {"S": "EUR"}}])
    tenancy.forget("t1")

    found = tenancy.find("t1")
    assert found
    assert found.defaults == {**dict.fromkeys(tenancy.DEFAULTS, ""), "provider": "zadara"}
    assert platform.patch(f"{TENANTS}/t1", {"defaults": {"region": "r1"}}).status_code == 200
    assert aws.rows("kernel", "#tenants")["t1"]["not_known_yet"] == {"S": "EUR"}
