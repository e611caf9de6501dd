"""Lists: pages without gaps or repeats, cursors that cannot be forged, search and filters."""

import unicodedata
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Answer, Caller, aws_calls
from tests.functional.http.store_calls import hooked

Form = Literal["NFC", "NFD"]
PATH = "/admin/v1/users"
PEOPLE = 120


@pytest.fixture
def people(cloud: LocalCloud, manager: Caller) -> list[str]:
    """The ids of 120 users of t1, in the order of creation; every third is a customer.

    One comes in by HTTP, the others are its copies: a request each would take most of the time.
    """
    first = manager.create_user().json()["data"]["user"]["id"]
    row = aws.rows("people")[f"person#{first}"]
    aws.delete_row("people", f"person#{first}")
    ids = [f"{first[:20]}{number:06}" for number in range(PEOPLE)]
    aws.put_rows("people", [_copy(row, user_id, at) for at, user_id in enumerate(ids)])
    return ids


def _copy(row: dict[str, Any], user_id: str, number: int) -> dict[str, Any]:
    words = {
        "sk": f"person#{user_id}",
        "name": f"Person {number}",
        "name_key": f"person {number}",
        "email": f"u{number}@example.com",
        "email_key": f"u{number}@example.com",
        "role": "staff" if number % 3 else "customer",
    }
    return {**row, **{name: {"S": word} for name, word in words.items()}}


def walk(manager: Caller, **query: object) -> Iterator[Answer]:
    """The pages, by the links that each names."""
    answer = manager.get(PATH, params=query)
    yield answer
    while "next" in answer.links:
        answer = manager.get(answer.links["next"]["url"].removeprefix(manager.client.url))
        yield answer


@pytest.mark.parametrize("per_page", [1, 7, 40, 50, 100])
def test_walking_the_pages_meets_each_user_once_newest_first(
    manager: Caller, people: list[str], per_page: int
) -> None:
    wanted = people if per_page > 1 else people[-5:]
    pages = []
    for answer in walk(manager, per_page=per_page):
        pages.append([user["id"] for user in answer.json()["data"]])
        if per_page == 1 and len(pages) == 5:
            break

    assert [user_id for page in pages for user_id in page] == list(reversed(wanted))
    assert {len(page) for page in pages[:-1]} <= {per_page}


def test_fifty_are_one_page_and_one_call(manager: Caller, people: list[str]) -> None:
    answer = manager.get(PATH)

    assert len(answer.json()["data"]) == 50
    assert answer.json()["meta"]["per_page"] == 50
    assert answer.json()["meta"]["next_cursor"]
    assert aws_calls(answer) == 1


def test_a_list_that_fits_has_no_further_page(manager: Caller) -> None:
    manager.create_user()
    answer = manager.get(PATH)

    assert answer.json()["meta"] == {"per_page": 50, "next_cursor": None}
    assert "Link" not in answer.headers


@pytest.mark.parametrize("per_page", [1, 2, 4])
def test_a_list_that_ends_with_a_full_page_names_no_empty_one(
    manager: Caller, per_page: int
) -> None:
    for number in range(4):
        manager.create_user(email=f"u{number}@example.com")
    sizes = [len(answer.json()["data"]) for answer in walk(manager, per_page=per_page)]

    assert sizes == [per_page] * (4 // per_page)


def test_an_empty_list_is_a_list(manager: Caller) -> None:
    assert manager.get(PATH).json()["data"] == []


def test_the_next_link_keeps_the_query_and_the_address(
    cloud: LocalCloud, manager: Caller, people: list[str]
) -> None:
    answer = manager.get(PATH, params={"per_page": 3, "role": "customer", "search": "pers"})
    url = answer.links["next"]["url"]

    assert url.startswith(f"{cloud.url}{PATH}?")
    query = urlsplit(url).query
    assert {"per_page=3", "role=customer", "search=pers"} <= set(query.split("&"))


def test_users_created_while_paging_neither_repeat_nor_hide_others(
    manager: Caller, people: list[str]
) -> None:
    pages = walk(manager, per_page=50)
    seen = [user["id"] for user in next(pages).json()["data"]]
    manager.create_user(email="late@example.com")
    seen += [user["id"] for page in pages for user in page.json()["data"]]

    assert seen == list(reversed(people))


@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "a" * 300, "..", "%00", "{}", "eyJwYXJ0IjowfQ", "😀"]
)
def test_a_forged_cursor_is_a_400(manager: Caller, cursor: str) -> None:
    answer = manager.get(PATH, params={"cursor": cursor})

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_cursor_of_another_tenant_or_query_or_list_is_a_400(
    manager: Caller, other: Caller, people: list[str]
) -> None:
    cursor = manager.get(PATH).json()["meta"]["next_cursor"]

    assert manager.get(PATH, params={"cursor": cursor}).status_code == 200
    assert other.get(PATH, params={"cursor": cursor}).status_code == 400
    assert manager.get(PATH, params={"cursor": cursor, "role": "staff"}).status_code == 400
    assert manager.get(PATH, params={"cursor": cursor, "search": "a"}).status_code == 400
    assert manager.get("/admin/v1/jobs", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize("place", [0, 10, 40, -1])
def test_an_edited_cursor_is_a_400(manager: Caller, people: list[str], place: int) -> None:
    cursor = manager.get(PATH).json()["meta"]["next_cursor"]
    letters = list(cursor)
    letters[place] = "A" if letters[place] != "A" else "Q"

    assert manager.get(PATH, params={"cursor": "".join(letters)}).status_code == 400


def test_the_page_may_change_its_size_on_the_way(manager: Caller, people: list[str]) -> None:
    first = manager.get(PATH, params={"per_page": 20}).json()
    rest = manager.get(
        PATH, params={"per_page": 100, "cursor": first["meta"]["next_cursor"]}
    ).json()

    assert [user["id"] for user in first["data"] + rest["data"]] == list(reversed(people))


def names(manager: Caller, **query: object) -> list[str]:
    return sorted(user["name"] for user in manager.users(**query))


@pytest.fixture
def few(manager: Caller) -> None:
    for name, email, role in (
        ("Ann Arbor", "ann@example.com", "staff"),
        ("anna Bell", "bell@example.com", "customer"),
        ("Bob Ann", "annex@example.com", "customer"),
        ("Émile Zola", "zola@example.com", "manager"),
        ("Percent % _", "percent_100@example.com", "staff"),
    ):
        assert manager.create_user(name, email=email, role=role).status_code == 201


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ann", ["Ann Arbor", "Bob Ann", "anna Bell"]),  # by name, and Bob by his address
        ("ANN", ["Ann Arbor", "Bob Ann", "anna Bell"]),
        ("  ann a", ["Ann Arbor"]),
        ("ann@", ["Ann Arbor"]),
        ("annex", ["Bob Ann"]),
        ("bell", ["anna Bell"]),
        ("émile", ["Émile Zola"]),
        ("arbor", []),  # a prefix, not a part
        ("%", []),
        ("percent_1", ["Percent % _"]),
        ("percent %", ["Percent % _"]),
        ("nobody", []),
        ("a" * 254, []),
    ],
)
def test_a_search_finds_those_whose_name_or_address_begins_with_it(
    manager: Caller, few: None, search: str, found: list[str]
) -> None:
    assert names(manager, search=search) == sorted(found)


@pytest.mark.parametrize(("kept", "sought"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_name_is_found_however_its_accents_are_composed(
    manager: Caller, kept: Form, sought: Form
) -> None:
    """MacOS decomposes letters, most others compose them."""
    name = unicodedata.normalize(kept, "Zoë Müller")
    assert manager.create_user(name).status_code == 201
    assert names(manager, search=unicodedata.normalize(sought, "zoë mü")) == [name]


def test_an_empty_last_key_is_the_end(manager: Caller, few: None) -> None:
    """As DynamoDB's reference of Query has it."""

    def end(parsed: dict[str, Any], **_: Any) -> None:
        parsed.setdefault("LastEvaluatedKey", {})

    with hooked("after-call.dynamodb.Query", end):
        page = manager.get("/admin/v1/users").json()
    assert len(page["data"]) == 5
    assert page["meta"]["next_cursor"] is None


def test_who_is_found_by_name_and_by_address_comes_once(manager: Caller, few: None) -> None:
    assert names(manager, search="ann a") == ["Ann Arbor"]
    for per_page in (1, 2, 3):
        assert len(manager.users(search="ann", per_page=per_page)) == 3


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"role": "customer"}, ["Bob Ann", "anna Bell"]),
        ({"role": "customer", "search": "anna"}, ["anna Bell"]),
        ({"role": "admin"}, []),
        ({"status": "active"}, []),
        ({"status": "invited", "role": "manager"}, ["Émile Zola"]),
    ],
    ids=str,
)
def test_filters_go_together(
    manager: Caller, few: None, query: dict[str, str], found: list[str]
) -> None:
    assert names(manager, **query) == found


def test_a_filter_walks_all_users_without_gaps(manager: Caller, people: list[str]) -> None:
    found = [user["id"] for user in manager.users(role="customer", per_page=7)]

    assert found == list(reversed(people[::3]))


def test_a_filter_that_nobody_meets_costs_a_bounded_number_of_calls(
    manager: Caller, people: list[str]
) -> None:
    answer = manager.get(PATH, params={"role": "admin"})

    assert answer.json()["data"] == []
    assert aws_calls(answer) <= 5


def test_a_page_survives_one_throttled_read(manager: Caller, people: list[str]) -> None:
    faults.add(Fault("dynamodb", "Query", "throttle", times=1))

    assert len(manager.get(PATH).json()["data"]) == 50
