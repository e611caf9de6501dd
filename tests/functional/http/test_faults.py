"""How faults are told: all at once, each with its place, in words for people."""

import re
from typing import Any

import msgspec
import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller, Client

USERS, TENANTS = "/admin/v1/users", "/admin/v1/tenants"
JSON = {"Content-Type": "application/json"}
HUGE = ["9" * 5000, "-" + "9" * 5000, "1e999", "-1e999"]
#: What a library says, or a programmer: kinds, patterns, lengths as formulas.
FOR_PROGRAMMERS = re.compile(
    r"\b(str|int|bool|null|array|got|regex|matching|length)\b|[`^\\\\]|>=|<="
)


@pytest.fixture
def platform(client: Client) -> Caller:
    """An admin of the platform, who names no tenant."""
    return client.as_("admin", None)


def told(answer: Answer) -> dict[str, str]:
    """Field and detail of each fault."""
    assert answer.status_code == 422, answer.text
    errors = answer.json()["errors"]
    found = {each["field"]: each["detail"] for each in errors}
    assert len(found) == len(errors)
    return found


def test_faults_inside_an_object_are_told_at_once_with_those_beside_it(platform: Caller) -> None:
    defaults = {"sender": "a\nb", "region": 5, "provider": "x" * 101, "time_zone": "Europe/Berlin"}
    answer = platform.post(TENANTS, {"name": "", "defaults": defaults})

    assert set(told(answer)) == {
        "name",
        "defaults.sender",
        "defaults.region",
        "defaults.provider",
    }


def test_a_change_names_the_faults_inside_an_object_too(platform: Caller) -> None:
    answer = platform.patch(f"{TENANTS}/t1", {"defaults": {"sender": None, "region": []}})

    assert set(told(answer)) == {"defaults.sender", "defaults.region"}


def test_what_is_wrong_in_a_list_is_named_by_its_place(manager: Caller) -> None:
    answer = manager.post("/admin/v1/projects", {"name": "", "user_ids": ["ok", 5, "", "a b"]})

    assert set(told(answer)) == {"name", "user_ids[1]", "user_ids[2]", "user_ids[3]"}


def test_a_list_full_of_faults_is_answered_with_the_first_hundred(manager: Caller) -> None:
    answer = manager.post("/admin/v1/projects", {"name": "Alder", "user_ids": [1] * 20_000})

    assert list(told(answer)) == [f"user_ids[{number}]" for number in range(100)]


@pytest.mark.parametrize(
    ("path", "body", "field", "words"),
    [
        (USERS, {"send_email": 1}, "send_email", "must be true or false"),
        (USERS, {"send_sms": None}, "send_sms", "must be true or false"),
        (USERS, {"role": 7}, "role", "must be one of admin, manager, staff, customer"),
        ("/v1/invitations/accept", {"token": ""}, "token", "must not be empty"),
        ("/v1/invitations/accept", {"token": 7}, "token", "must be text"),
        (
            "/v1/invitations/accept",
            {"token": "x" * 1001},
            "token",
            "must have at most 1,000 characters",
        ),
        (TENANTS, {"defaults": []}, "defaults", "must be an object"),
    ],
)
def test_a_fault_is_told_in_words_for_people(
    platform: Caller, path: str, body: dict[str, Any], field: str, words: str
) -> None:
    assert told(platform.naming("t1").post(path, body))[field] == words


def test_a_query_is_told_in_words_for_people(manager: Caller) -> None:
    answer = manager.get(USERS, params={"per_page": "many", "search": ""})

    assert told(answer) == {
        "per_page": "must be a whole number from 1 to 100",
        "search": "must be 1 to 254 characters",
    }


ODD: list[Any] = [None, True, 7, -1, 1.5, "", " ", "\n", "x" * 3000, [], [5, ""], {}, {"a": 1}]


def test_no_fault_of_any_route_speaks_of_kinds_and_patterns(
    cloud: LocalCloud, platform: Caller
) -> None:
    from chalicelib.kernel.http import mounting

    asked = set()
    for route in mounting.mounted():
        shape = route.parameters.get("body", bytes)
        if shape is bytes or "application/json" not in route.media:
            continue
        path = route.path.replace("{", "").replace("}", "")
        for value in ODD:
            body = {field.encode_name: value for field in msgspec.structs.fields(shape)}
            answer = platform.naming("t1").send(route.method, path, json=body)
            details = [each["detail"] for each in answer.json().get("errors", ())]
            assert [each for each in details if FOR_PROGRAMMERS.search(each)] == [], path
            asked |= {route.path} if details else set()
    assert {USERS, TENANTS, "/admin/v1/projects", "/admin/v1/regions"} <= asked


@pytest.mark.parametrize("number", HUGE, ids=lambda number: number[:6])
@pytest.mark.parametrize("field", ["phone", "name", "send_email"])
def test_a_number_beyond_all_bounds_is_a_fault_of_its_field(
    manager: Caller, field: str, number: str
) -> None:
    good = {"name": '"Ann"', "email": '"ann@example.com"', "role": '"staff"', field: number}
    body = ", ".join(f'"{name}": {value}' for name, value in good.items())
    answer = manager.send("POST", USERS, headers=JSON, data=f"{{{body}}}")

    assert list(told(answer)) == [field]


@pytest.mark.parametrize("number", HUGE, ids=lambda number: number[:6])
def test_a_number_beyond_all_bounds_hides_no_fault_beside_it(platform: Caller, number: str) -> None:
    body = f'{{"name": "", "more": {number}, "defaults": {{"sender": {number}, "region": 5}}}}'
    answer = platform.send("POST", TENANTS, headers=JSON, data=body)

    assert set(told(answer)) == {"name", "defaults.sender", "defaults.region"}


@pytest.mark.parametrize(
    "rest", ["", "]", ", }", ', "x": NaN}', ', "x": -Infinity}', ', "x": 01}', ', "x": "\n"}']
)
def test_a_number_beyond_all_bounds_makes_no_json_of_what_is_none(
    manager: Caller, rest: str
) -> None:
    answer = manager.send("POST", USERS, headers=JSON, data='{"phone": 1e999' + rest)

    assert answer.status_code == 400
