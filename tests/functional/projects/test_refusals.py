"""Projects that are not created: refused at once and by field, and nothing starts."""

from collections import Counter
from functools import partial
from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, Client, at_once
from tests.functional.projects.workflow import (
    MISSING,
    create,
    created,
    people,
)

MANY = [f"u{number}" for number in range(81)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"provider": "aws"}, "provider"),
        ({"provider": "Simulated"}, "provider"),
        ({"provider": "openstack"}, "region"),
        ({"provider": "openstack", "region": "nowhere"}, "region"),
        ({"region": "local-9"}, "region"),
        ({"region": "local-1 "}, "region"),
        ({"region": ""}, "region"),
        ({"provider": "simulated\n"}, "provider"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"description": "x" * 2001}, "description"),
        ({"description": "a\u001bb"}, "description"),
        ({"user_ids": "all"}, "user_ids"),
        ({"user_ids": [1]}, "user_ids[0]"),
        ({"user_ids": [MISSING, ""]}, "user_ids[1]"),
        ({"user_ids": [MISSING, MISSING, "x" * 101]}, "user_ids[2]"),
        ({"user_ids": [f"u{number}" for number in range(81)]}, "user_ids"),
        ({"user_ids": [f"{number}" for number in range(5000)]}, "user_ids"),
        ({"user_ids": [MISSING]}, "user_ids"),
        ({"user_ids": ["admin-1#x"]}, "user_ids"),
    ],
    ids=lambda given: str(given)[:60],
)
def test_what_cannot_be_is_refused_by_field_and_nothing_starts(
    cloud: LocalCloud, manager: Caller, body: dict[str, Any], field: str
) -> None:
    answer = create(manager, **{"name": "Alder", **body})

    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert_nothing_started(cloud)


def test_eighty_ids_are_taken_and_eighty_one_are_not_even_of_one_user(manager: Caller) -> None:
    (user,) = people(1)

    assert create(manager, user_ids=[user] * 81).status_code == 422
    assert create(manager, user_ids=[user] * 80).status_code == 201


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": "", "provider": "zz"}, ["name", "provider"]),
        ({"name": "", "provider": "simulated", "region": "nowhere"}, ["name", "region"]),
        ({"name": "", "user_ids": ["u1"]}, ["name", "user_ids"]),
        ({"name": "", "user_ids": ["u1", 5]}, ["name", "user_ids[1]"]),
        ({"name": "", "provider": "zz", "user_ids": MANY}, ["name", "provider", "user_ids"]),
        ({"provider": "zz", "region": "yy", "user_ids": MANY}, ["provider", "user_ids"]),
        ({"provider": "zz", "user_ids": ["u1", "u2"]}, ["provider", "user_ids"]),
        ({"region": "nowhere", "user_ids": [MISSING, "u1"]}, ["region", "user_ids"]),
    ],
    ids=lambda given: str(given)[:60],
)
def test_all_that_is_known_to_be_wrong_is_told_at_once(
    cloud: LocalCloud, manager: Caller, body: dict[str, Any], fields: list[str]
) -> None:
    answer = create(manager, **{"name": "Alder", **body})

    assert answer.status_code == 422, answer.text
    assert {each["field"] for each in answer.json()["errors"]} == set(fields)
    assert_nothing_started(cloud)


def test_each_id_that_is_none_is_named_beside_another_fault(manager: Caller) -> None:
    errors = create(manager, provider="zz", user_ids=["u1", "u2"]).json()["errors"]

    assert [each["detail"].partition(" ")[0] for each in errors[1:]] == ["u1", "u2"]


def test_ten_thousand_ids_are_too_large(cloud: LocalCloud, manager: Caller) -> None:
    answer = create(manager, user_ids=[f"{number:026}" for number in range(10_000)])

    assert answer.status_code == 413
    assert_nothing_started(cloud)


def test_every_user_who_cannot_take_part_is_named_at_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    good, foreign, gone = people(2), people(1, tenant="t2"), people(1, prefix="gone")
    manager.delete(f"/admin/v1/users/{gone[0]}")
    cloud.run_until_idle()
    answer = create(manager, user_ids=[*good, *foreign, *gone, MISSING, "no-id-at-all"])

    assert answer.status_code == 422
    told = " ".join(each["detail"] for each in answer.json()["errors"])
    assert len(answer.json()["errors"]) == 4
    assert all(each in told for each in (*foreign, *gone, MISSING, "no-id-at-all"))
    assert not any(each in told for each in good)
    assert_nothing_started(cloud)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Alder", "Alder"),
        ("Alder", "ALDER"),
        ("Alder", " alder "),
        ("Caf\u00e9", "Cafe\u0301"),  # the same letters, put together otherwise
    ],
)
def test_a_name_is_given_once_in_a_tenant(
    manager: Caller, other: Caller, first: str, second: str
) -> None:
    created(manager, first)

    refused = create(manager, second)
    assert refused.status_code == 409
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert create(other, second).status_code == 201


@pytest.mark.parametrize("letter", ["a", "\u1fb7", "\U0001d160"])
def test_names_that_differ_only_at_their_end_are_two_however_long(
    manager: Caller, letter: str
) -> None:
    for ending in "xyz":
        assert create(manager, letter * 199 + ending).status_code == 201


@pytest.mark.parametrize(
    "run", [0, 1, *(pytest.param(n, marks=pytest.mark.thorough) for n in (2, 3, 4))]
)
def test_of_ten_at_once_who_want_one_name_one_gets_it(
    cloud: LocalCloud, manager: Caller, run: int
) -> None:
    callers = [manager.in_a_session_of_its_own() for _ in range(10)]
    answers = at_once(*(partial(create, each, f"Alder {run}") for each in callers))

    assert Counter(each.status_code for each in answers) == {201: 1, 409: 9}
    cloud.run_until_idle()
    assert [each["status"] for each in manager.listed("/admin/v1/projects")] == ["active"]
    assert cloud.state()["executions"]["succeeded"] == 1


@pytest.mark.parametrize("role", ["staff", "customer"])
def test_only_managers_and_admins_create_projects(client: Client, admin: Caller, role: str) -> None:
    assert create(client.as_(role)).status_code == 403
    assert create(admin).status_code == 201


def assert_nothing_started(cloud: LocalCloud) -> None:
    cloud.run_until_idle()
    assert aws.rows("projects") == {}
    assert aws.rows("projects", "t2") == {}
    assert sum(cloud.state()["executions"].values()) == 0
