"""The rows of a file: each becomes a user who is invited, or is reported with its line."""

import json

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, Client
from tests.functional.people.uploads import (
    HEADER,
    batch_of,
    emails,
    errors_by_line,
    imported,
    upload,
)

FLAGS_IN_CSV = """name,email,phone,role,send_email,send_sms
A,both@example.com,+4915112345671,staff,,TRUE
B,mail@example.com,+4915112345672,staff,true,false
C,none@example.com,+4915112345673,staff,False,false
D,odd@example.com,+4915112345674,staff,no,
"""
FLAGS_IN_JSON = """
{"name":"A","email":"both@example.com","phone":"+4915112345671","role":"staff"}
{"name":"B","email":"mail@example.com","phone":"+4915112345672","role":"staff","send_sms":false}
{"name":"C","email":"none@example.com","role":"staff","send_email":false,"send_sms":false}
{"name":"D","email":"odd@example.com","phone":"+4915112345674","role":"staff","send_email":"no"}
"""


def test_quotes_hold_commas_quotes_and_letters_of_all_kinds(
    cloud: LocalCloud, manager: Caller
) -> None:
    imported(cloud, manager, HEADER + '"Doe, ""J"" Ünïcøde 日本",ann@example.com,,staff\n')

    assert [user["name"] for user in manager.users()] == ['Doe, "J" Ünïcøde 日本']


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_those_of_the_file_also_after_a_quoted_line_break(
    cloud: LocalCloud, manager: Caller, end: str
) -> None:
    lines = [
        "name,email,phone,role",
        '"A name' + end + 'over two lines",ann@example.com,,staff',  # lines 2 and 3
        "",
        "Bob,no address,,staff",  # line 5
        "Cid,cid@example.com,0151,root",  # line 6
        "Dan,dan@example.com,,staff",
    ]
    batch = imported(cloud, manager, end.join(lines) + end)

    errors = errors_by_line(batch)
    assert sorted(errors) == [2, 5, 6]
    assert "name" in errors[2]
    assert "email" in errors[5]
    assert "phone" in errors[6]
    assert "role" in errors[6]  # all faults of a row at once
    assert (batch["status"], batch["total"], batch["failed"]) == ("done", 4, 3)
    assert emails(manager) == ["dan@example.com"]


def test_a_row_with_too_many_or_too_few_cells_is_reported(
    cloud: LocalCloud, manager: Caller
) -> None:
    rows = "Ann,ann@example.com,,staff,surplus\nBob\nCid,cid@example.com,,staff\n"
    batch = imported(cloud, manager, HEADER + rows)

    assert sorted(errors_by_line(batch)) == [2, 3]
    assert emails(manager) == ["cid@example.com"]


def test_an_address_that_came_before_in_the_file_is_told_with_both_lines_whatever_its_case(
    cloud: LocalCloud, manager: Caller
) -> None:
    rows = "Ann,ann@example.com,,staff\nAnne,ANN@Example.com,,staff\nBob,bob@example.com,,staff\n"
    batch = imported(cloud, manager, HEADER + rows)

    assert list(errors_by_line(batch)) == [3]
    assert "2" in errors_by_line(batch)[3]
    assert [user["name"] for user in manager.users(search="ann")] == ["Ann"]


@pytest.mark.parametrize(
    "bad",
    [
        "Ann,ann@example.com,0151,staff",
        "Ann,ann@example.com,,root",
        "Ann,ann@example.com,,admin",
        ",ann@example.com,,",
        "Ann,ann@example.com,,staff,surplus",
        "J\udcf6rg,ann@example.com,,staff",
    ],
    ids=["phone", "unknown role", "refused role", "no name, no role", "surplus cell", "not UTF-8"],
)
def test_an_address_counts_as_come_before_whatever_else_was_wrong_with_its_row(
    cloud: LocalCloud, manager: Caller, bad: str
) -> None:
    file = HEADER + f"{bad}\nAnn,ANN@example.com,,staff\n"
    batch = imported(cloud, manager, file.encode(errors="surrogateescape"))

    assert sorted(errors_by_line(batch)) == [2, 3]
    assert errors_by_line(batch)[3] == "email came before, in line 2"
    assert manager.users() == []


def test_a_row_that_is_bad_and_came_before_is_told_both(cloud: LocalCloud, manager: Caller) -> None:
    rows = "Ann,ann@example.com,,staff\nAnn,ann@example.com,0151,admin\n"
    batch = imported(cloud, manager, HEADER + rows)

    assert list(errors_by_line(batch)) == [3]
    for fault in ("phone must be", "role admin can be given", "email came before, in line 2"):
        assert fault in errors_by_line(batch)[3]


def test_an_address_that_exists_in_the_tenant_is_told_whatever_its_case(
    cloud: LocalCloud, manager: Caller, other: Caller
) -> None:
    manager.create_user("First", email="Ann@example.com")
    other.create_user(email="bob@example.com")
    rows = "Ann,ann@EXAMPLE.com,,staff\nBob,bob@example.com,,staff\n"
    batch = imported(cloud, manager, HEADER + rows)

    assert list(errors_by_line(batch)) == [2]
    assert (batch["total"], batch["done"], batch["failed"]) == (2, 2, 1)
    assert batch["status"] == "done"
    assert sorted(user["name"] for user in manager.users()) == ["Bob", "First"]


def test_the_same_file_again_creates_and_invites_nobody_and_tells_every_row(
    cloud: LocalCloud, manager: Caller
) -> None:
    file = HEADER + "".join(f"N{n},u{n}@example.com,,staff\n" for n in range(26))  # two jobs
    imported(cloud, manager, file)
    again = imported(cloud, manager, file)

    assert sorted(errors_by_line(again)) == list(range(2, 28))
    assert (again["status"], again["failed"]) == ("failed", 26)
    assert len(manager.users()) == len(mailbox.sent()) == 26


def test_a_file_of_which_no_row_is_good_has_failed_at_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch = batch_of(manager, upload(manager, HEADER + "Ann,no address,,staff\n"))

    assert batch["status"] == "failed"
    assert (batch["total"], batch["done"], batch["failed"], batch["percent"]) == (1, 1, 1, 100)
    assert list(errors_by_line(batch)) == [2]
    assert batch["finished_at"] is not None


def test_rows_refused_at_the_upload_are_no_work_that_was_done(
    cloud: LocalCloud, manager: Caller
) -> None:
    answer = upload(manager, HEADER + "Ann,ann@example.com,,staff\n" + "Bob,no address,,staff\n")
    batch = batch_of(manager, answer)
    assert (batch["status"], batch["total"], batch["failed"]) == ("pending", 2, 1)
    assert batch["eta_seconds"] == 0

    cloud.advance(180)
    assert batch_of(manager, answer) == batch


def test_json_lines_are_taken_and_broken_ones_reported(cloud: LocalCloud, manager: Caller) -> None:
    lines = [
        json.dumps({"name": "Ann", "email": "ann@example.com", "role": "staff", "x": [1]}),
        "",
        "{broken",
        json.dumps(["Bob"]),
        json.dumps({"name": "Bob", "email": "bob@example.com"}),
        json.dumps({"name": 7, "email": "cid@example.com", "role": "staff"}),
        json.dumps({"name": "Ann", "email": "ANN@example.com", "role": "staff"}),
        json.dumps({"name": "Dän", "email": "d@example.com", "role": "staff", "phone": None}),
        json.dumps({"name": "Eve", "email": "e@example.com", "role": "staff", "line": 1}),
        "null",
    ]
    batch = imported(cloud, manager, "\n".join(lines), "application/x-ndjson")

    assert sorted(errors_by_line(batch)) == [3, 4, 5, 6, 7, 10]
    assert "role" in errors_by_line(batch)[5]
    assert "name" in errors_by_line(batch)[6]
    assert emails(manager) == ["ann@example.com", "d@example.com", "e@example.com"]


def test_no_key_of_a_json_line_is_taken_for_one_of_ours(cloud: LocalCloud, manager: Caller) -> None:
    ann = {"name": "Ann", "email": "ann@example.com", "role": "staff", "line": "seven"}
    bob = {"name": "Bob", "email": "bob@example.com", "role": "root", "line": 7}
    batch = imported(cloud, manager, f"{json.dumps(ann)}\n{json.dumps(bob)}", "application/jsonl")

    assert list(errors_by_line(batch)) == [2]
    assert emails(manager) == ["ann@example.com"]


@pytest.mark.parametrize("media", ["text/csv", "application/jsonl"])
def test_a_row_says_which_messages_its_user_gets(
    cloud: LocalCloud, manager: Caller, media: str
) -> None:
    batch = imported(cloud, manager, FLAGS_IN_CSV if "csv" in media else FLAGS_IN_JSON, media)

    assert errors_by_line(batch) == {5: "send_email must be true or false"}
    assert emails(manager) == ["both@example.com", "mail@example.com", "none@example.com"]
    sent = sorted(each.to for each in mailbox.sent())
    assert sent == ["+4915112345671", "both@example.com", "mail@example.com"]


def test_letters_that_python_takes_for_line_breaks_are_none_in_json_lines(
    cloud: LocalCloud, manager: Caller
) -> None:
    row = {"name": "Ann", "email": "ann@example.com", "role": "staff", "notes": "A\u2028B"}
    bad = {"name": "A", "email": "none", "role": "staff"}
    file = json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(bad)
    batch = imported(cloud, manager, file, "application/jsonl")

    assert list(errors_by_line(batch)) == [2]
    assert [user["name"] for user in manager.users()] == ["Ann"]


def test_a_manager_gives_every_role_but_admin_and_an_admin_gives_it_too(
    cloud: LocalCloud, manager: Caller, admin: Caller
) -> None:
    rows = "".join(f"N,{role}@example.com,,{role}\n" for role in ("admin", "manager", "customer"))
    batch = imported(cloud, manager, HEADER + rows)
    assert list(errors_by_line(batch)) == [2]
    assert emails(manager) == ["customer@example.com", "manager@example.com"]

    batch = imported(cloud, admin, HEADER + rows.splitlines(keepends=True)[0])
    assert batch["errors"] == []
    assert [user["email"] for user in manager.users(role="admin")] == ["admin@example.com"]


def test_an_invitation_of_an_import_can_be_accepted(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    imported(cloud, manager, HEADER + "A,a@example.com,,staff\n")
    token = mailbox.sent()[0].text.partition("token=")[2].split()[0]

    answer = client.send("POST", "/v1/invitations/accept", json={"token": token})
    assert answer.status_code == 200
    assert answer.json()["data"]["status"] == "active"


def test_a_person_who_waits_is_not_behind_an_import(cloud: LocalCloud, manager: Caller) -> None:
    rows = "".join(f"N,u{number}@example.com,,staff\n" for number in range(3))
    upload(manager, HEADER + rows)
    manager.create_user(email="urgent@example.com")

    assert cloud.state()["queues"]["notify"]["waiting"] == 1
    cloud.run_until_idle()
    kinds = {job["queue"]["S"] for sk, job in aws.rows("kernel").items() if sk.startswith("job#")}
    assert kinds == {"bulk", "notify"}
