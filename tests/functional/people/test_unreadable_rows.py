"""Rows that cannot be read: each is reported with its line, and costs no other row."""

import json
import random

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Caller
from tests.functional.people.uploads import HEADER, emails, errors_by_line, imported

ANN = "Ann,ann@example.com,,staff\n"
BOB = "Bob,bob@example.com,,staff\n"
JSON_LINES = "application/x-ndjson"
NOT_UTF8 = 'is not UTF-8; save the file as UTF-8 (in Excel: "CSV UTF-8")'


def line_of(name: str) -> str:
    return json.dumps({"name": name, "email": f"{name}@example.com".lower(), "role": "staff"})


def test_text_after_a_closing_quote_costs_its_own_row(cloud: LocalCloud, manager: Caller) -> None:
    batch = imported(cloud, manager, HEADER + ANN + '"C"x,c@example.com,,staff\n' + BOB)

    assert list(errors_by_line(batch)) == [3]
    assert "text after a closing quote" in errors_by_line(batch)[3]
    assert emails(manager) == ["ann@example.com", "bob@example.com"]


@pytest.mark.parametrize(
    "after",
    [BOB, BOB + '"Doe, J",doe@example.com,,staff\n', BOB + 'D,doe@example.com,"",staff\n'],
    ids=["no quote", "a quoted cell", "an empty quoted cell"],
)
def test_a_quote_that_is_not_closed_is_told_where_it_began_and_swallows_no_row(
    cloud: LocalCloud, manager: Caller, after: str
) -> None:
    batch = imported(cloud, manager, HEADER + ANN + '"Cid,cid@example.com,,staff\n' + after)

    assert list(errors_by_line(batch)) == [3]
    assert "has a quote that is" in errors_by_line(batch)[3]
    assert emails(manager) == sorted(
        ["ann@example.com", "bob@example.com", *["doe@example.com"] * ("doe" in after)]
    )


def test_every_quote_that_is_not_closed_is_told_also_where_thousands_follow_each_other(
    cloud: LocalCloud, manager: Caller
) -> None:
    left_open = 'a","b' + "c" * 400 + "\n"  # and open still for whom it finds within quotes
    batch = imported(cloud, manager, HEADER + left_open * 9_000 + ANN)

    assert sorted(errors_by_line(batch)) == list(range(2, 9_002))
    assert emails(manager) == ["ann@example.com"]


def test_a_bad_row_whose_quotes_reach_over_others_says_how_far(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch = imported(cloud, manager, HEADER + '"Cid,cid@example.com\n' + ANN + 'x"\n' + BOB)

    assert list(errors_by_line(batch)) == [2]
    assert "its quotes reach to line 4" in errors_by_line(batch)[2]
    assert emails(manager) == ["bob@example.com"]


def test_a_cell_may_be_as_long_as_a_file(cloud: LocalCloud, manager: Caller) -> None:
    long = "x" * 200_000
    rows = f"Ann,ann@example.com,,staff,{long}\n{long},cid@example.com,,staff,\n"
    file = "name,email,phone,role,notes\n" + rows + BOB
    batch = imported(cloud, manager, file)

    assert list(errors_by_line(batch)) == [3]
    assert "name must be 1 to 200 characters" in errors_by_line(batch)[3]
    assert emails(manager) == ["ann@example.com", "bob@example.com"]


def test_bytes_that_are_not_utf_8_cost_their_own_row(cloud: LocalCloud, manager: Caller) -> None:
    rows = HEADER + ANN + "J\u00f6rg,joerg@example.com,,staff\n" + BOB
    batch = imported(cloud, manager, rows.encode("latin-1"))

    assert errors_by_line(batch) == {3: NOT_UTF8}
    assert emails(manager) == ["ann@example.com", "bob@example.com"]


def test_json_lines_that_are_not_utf_8_cost_their_own_row(
    cloud: LocalCloud, manager: Caller
) -> None:
    joerg = line_of("Joerg").replace("oe", "\u00f6").encode("latin-1")
    file = b"\n".join([line_of("Ann").encode(), joerg, line_of("Bob").encode(), b"\xff"])
    batch = imported(cloud, manager, file, JSON_LINES)

    assert errors_by_line(batch) == {2: NOT_UTF8, 4: NOT_UTF8}
    assert emails(manager) == ["ann@example.com", "bob@example.com"]


@pytest.mark.parametrize(
    "line",
    ['"anything at all"', json.dumps("x" * 560_000), "7", "null", '["Ann"]', "true"],
    ids=["a string", "a long string", "a number", "null", "an array", "a boolean"],
)
def test_a_json_line_that_is_no_object_is_told_so(
    cloud: LocalCloud, manager: Caller, line: str
) -> None:
    batch = imported(cloud, manager, f"{line_of('Ann')}\n{line}\n{line_of('Bob')}", JSON_LINES)

    assert errors_by_line(batch) == {2: "must be an object"}
    assert emails(manager) == ["ann@example.com", "bob@example.com"]


def test_ten_thousand_lines_of_whatever_text_are_told_without_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    chance = random.Random(7)
    lines = [json.dumps(chance.randbytes(150).hex()) for _ in range(10_000)]
    batch = imported(cloud, manager, "\n".join(lines), JSON_LINES)

    assert errors_by_line(batch) == dict.fromkeys(range(1, 10_001), "must be an object")
    assert batch["status"] == "failed"
