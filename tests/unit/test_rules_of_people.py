"""The rules of people."""

import pytest

from chalicelib.people import rules


@pytest.mark.parametrize(
    ("one", "other"),
    [("ann@example.com", "ANN@Example.COM"), ("a.b+c@example.com", "A.B+C@example.com")],
)
def test_addresses_that_differ_only_in_case_are_one(one: str, other: str) -> None:
    assert rules.email_key(one) == rules.email_key(other)


@pytest.mark.parametrize(("one", "other"), [("ann@example.com", "a.nn@example.com")])
def test_other_addresses_are_others(one: str, other: str) -> None:
    assert rules.email_key(one) != rules.email_key(other)


@pytest.mark.parametrize(
    ("name", "search"),
    [("Ann Example", "ANN"), ("  Ann", "ann"), ("Straße", "STRASSE"), ("Łukasz", "łuk")],
)
def test_a_search_meets_a_name_whatever_its_case(name: str, search: str) -> None:
    assert rules.name_key(name).startswith(rules.name_key(search))


@pytest.mark.parametrize(
    ("giver", "given", "allowed"),
    [
        ("admin", "admin", True),
        ("admin", "customer", True),
        ("manager", "manager", True),
        ("manager", "staff", True),
        ("manager", "customer", True),
        ("manager", "admin", False),
    ],
)
def test_only_an_admin_makes_an_admin(giver: str, given: str, allowed: bool) -> None:  # noqa: FBT001
    assert rules.may_give(giver, given) is allowed  # type: ignore[arg-type]
