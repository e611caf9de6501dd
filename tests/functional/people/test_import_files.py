"""Files to import: what is read, what is refused, and how each bad row is told."""

import json
from typing import Any

import pytest

from infra.local import outbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client, aws_calls

IMPORT = "/admin/v1/users/import"
HEADER = "name,email,phone,role\n"


def upload(caller: Caller, data: bytes | str, media: str = "text/csv") -> Answer:
    body = data.encode() if isinstance(data, str) else data
    return caller.send("POST", IMPORT, headers={"Content-Type": media}, data=body)


def imported(
    cloud: LocalCloud, caller: Caller, data: bytes | str, media: str = "text/csv"
) -> dict[str, Any]:
    """The batch of this file once it was worked."""
    answer = upload(caller, data, media)
    assert answer.status_code == 202, answer.text
    cloud.run_until_idle()
    return batch_of(caller, answer)


def batch_of(caller: Caller, answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = caller.get(f"/v1/batches/{answer.json()['data']['batch_id']}").json()
    return found["data"]  # type: ignore[no-any-return]


def told(batch: dict[str, Any]) -> dict[int, str]:
    """What is told of each line."""
    return {error["line"]: error["detail"] for error in batch["errors"]}


def emails(caller: Caller) -> list[str]:
    return sorted(user["email"] for user in caller.users())


def test_a_file_is_stored_answered_and_worked_afterwards(
    cloud: LocalCloud, manager: Caller
) -> None:
    rows = "Ann,ann@example.com,+4915112345678,staff\nBob,bob@example.com,,manager\n"
    answer = upload(manager, HEADER + rows)
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(f"/v1/batches/{answer.json()['data']['batch_id']}")
    assert aws_calls(answer) <= 2
    assert manager.users() == []
    waiting = batch_of(manager, answer)
    assert (waiting["status"], waiting["total"], waiting["done"]) == ("pending", 2, 0)

    cloud.run_until_idle()
    assert emails(manager) == ["ann@example.com", "bob@example.com"]
    ann = next(user for user in manager.users() if user["name"] == "Ann")
    assert (ann["phone"], ann["role"], ann["status"]) == ("+4915112345678", "staff", "invited")
    assert sorted((each.channel, each.to) for each in outbox.sent()) == [
        ("email", "ann@example.com"),
        ("email", "bob@example.com"),
        ("sms", "+4915112345678"),
    ]
    done = batch_of(manager, answer)
    assert done == {
        **done,
        "status": "done",
        "total": 2,
        "done": 2,
        "failed": 0,
        "percent": 100,
        "eta_seconds": 0,
        "errors": [],
    }
    assert done["finished_at"]


@pytest.mark.parametrize(
    "file",
    [
        "name,email,phone,role\nAnn,ann@example.com,+4915112345678,staff\n",
        "\ufeffname,email,phone,role\nAnn,ann@example.com,+4915112345678,staff\n",
        "name,email,phone,role\r\nAnn,ann@example.com,+4915112345678,staff\r\n",
        "name,email,phone,role\nAnn,ann@example.com,+4915112345678,staff",
        "role,phone,email,name\nstaff,+4915112345678,ann@example.com,Ann\n",
        'team,name,email,notes,phone,role\nx,Ann,ann@example.com,"a,b",+4915112345678,staff\n',
        " Name , EMAIL,Phone,Role\n Ann , ann@example.com , +4915112345678 , staff \n",
        '"name","email","phone","role"\n"Ann","ann@example.com","+4915112345678","staff"\n',
        "name,email,phone,role\n\n,,,\nAnn,ann@example.com,+4915112345678,staff\n\n",
    ],
    ids=[
        "plain",
        "byte order mark",
        "CRLF",
        "no last line break",
        "columns in another order",
        "columns that are not known",
        "blanks and case",
        "quoted",
        "blank lines",
    ],
)
def test_one_user_comes_out_of_every_form_of_the_same_file(
    cloud: LocalCloud, manager: Caller, file: str
) -> None:
    batch = imported(cloud, manager, file)

    assert (batch["status"], batch["total"], batch["errors"]) == ("done", 1, [])
    (user,) = manager.users()
    assert (user["name"], user["email"]) == ("Ann", "ann@example.com")
    assert (user["phone"], user["role"]) == ("+4915112345678", "staff")


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

    errors = told(batch)
    assert sorted(errors) == [2, 5, 6]
    assert "name" in errors[2]
    assert "email" in errors[5]
    assert "phone" in errors[6]
    assert "role" in errors[6]  # all faults of a row at once
    assert (batch["status"], batch["total"], batch["failed"]) == ("done", 4, 3)
    assert emails(manager) == ["dan@example.com"]


def test_a_row_with_too_many_or_too_few_cells_is_told(cloud: LocalCloud, manager: Caller) -> None:
    rows = "Ann,ann@example.com,,staff,surplus\nBob\nCid,cid@example.com,,staff\n"
    batch = imported(cloud, manager, HEADER + rows)

    assert sorted(told(batch)) == [2, 3]
    assert emails(manager) == ["cid@example.com"]


def test_an_address_that_came_before_in_the_file_is_told_with_both_lines_whatever_its_case(
    cloud: LocalCloud, manager: Caller
) -> None:
    rows = "Ann,ann@example.com,,staff\nAnne,ANN@Example.com,,staff\nBob,bob@example.com,,staff\n"
    batch = imported(cloud, manager, HEADER + rows)

    assert list(told(batch)) == [3]
    assert "2" in told(batch)[3]
    assert [user["name"] for user in manager.users(search="ann")] == ["Ann"]


def test_an_address_that_exists_in_the_tenant_is_told_whatever_its_case(
    cloud: LocalCloud, manager: Caller, other: Caller
) -> None:
    manager.create_user("First", email="Ann@example.com")
    other.create_user(email="bob@example.com")
    rows = "Ann,ann@EXAMPLE.com,,staff\nBob,bob@example.com,,staff\n"
    batch = imported(cloud, manager, HEADER + rows)

    assert list(told(batch)) == [2]
    assert (batch["total"], batch["done"], batch["failed"]) == (2, 2, 1)
    assert batch["status"] == "done"
    assert sorted(user["name"] for user in manager.users()) == ["Bob", "First"]


def test_the_same_file_again_creates_and_invites_nobody_and_tells_every_row(
    cloud: LocalCloud, manager: Caller
) -> None:
    file = HEADER + "".join(f"N{n},u{n}@example.com,,staff\n" for n in range(60))
    imported(cloud, manager, file)
    again = imported(cloud, manager, file)

    assert sorted(told(again)) == list(range(2, 62))
    assert (again["status"], again["failed"]) == ("failed", 60)
    assert len(manager.users()) == len(outbox.sent()) == 60


def test_a_file_of_which_no_row_is_good_has_failed_at_once(
    cloud: LocalCloud, manager: Caller
) -> None:
    batch = batch_of(manager, upload(manager, HEADER + "Ann,no address,,staff\n"))

    assert batch["status"] == "failed"
    assert (batch["total"], batch["done"], batch["failed"], batch["percent"]) == (1, 1, 1, 100)
    assert list(told(batch)) == [2]
    assert batch["finished_at"] is not None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422),
        (b"\n\n", 422),
        (b"name,email,phone,role\n", 422),
        (b"name,email,phone\nAnn,ann@example.com,\n", 422),
        (b"Ann,ann@example.com,,staff\n", 422),
        (b"name;email;phone;role\nAnn;ann@example.com;;staff\n", 422),
        (b"name,email,phone,role\nAnn,\xff\xfe,,staff\n", 400),
        (b'name,email,phone,role\n"Ann,ann@example.com,,staff\n', 400),
        (b'name,email,phone,role\n"Ann"x,ann@example.com,,staff\n', 400),
        ("name,email,role\n".encode("utf-16"), 400),
    ],
    ids=[
        "nothing",
        "blank lines",
        "only a header",
        "a column is missing",
        "no header",
        "semicolons",
        "not UTF-8",
        "a quote without an end",
        "text after a quote",
        "UTF-16",
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(
    cloud: LocalCloud, manager: Caller, data: bytes, status: int
) -> None:
    answer = upload(manager, data)

    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert aws.rows("kernel") == {}
    assert aws.rows("people") == {}


def test_ten_thousand_rows_are_taken_and_one_more_is_a_422(
    cloud: LocalCloud, manager: Caller
) -> None:
    rows = [f"N,u{number}@example.com,,staff\n" for number in range(10_001)]
    assert upload(manager, HEADER + "".join(rows)).status_code == 422

    taken = upload(manager, HEADER + "".join(rows[:-1]))
    assert taken.status_code == 202
    assert aws_calls(taken) <= 5
    assert batch_of(manager, taken)["total"] == 10_000


def test_four_megabytes_are_taken_and_more_is_a_413(cloud: LocalCloud, manager: Caller) -> None:
    row = f"{'N' * 200},{{number:05}}{'u' * 59}@{'d' * 60}.{'e' * 60}.example,,staff,{'x' * 400}\n"
    rows = "".join(row.format(number=number) for number in range(6_000))
    file = "name,email,phone,role,notes\n" + rows
    most = 4 * 1024 * 1024
    fitting = file.encode()[:most].rpartition(b"\n")[0] + b"\n"

    assert upload(manager, fitting).status_code == 202
    answer = upload(manager, file.encode()[: most + 1])
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_json_lines_are_taken_and_broken_ones_told(cloud: LocalCloud, manager: Caller) -> None:
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

    assert sorted(told(batch)) == [3, 4, 5, 6, 7, 10]
    assert "role" in told(batch)[5]
    assert "name" in told(batch)[6]
    assert emails(manager) == ["ann@example.com", "d@example.com", "e@example.com"]


def test_letters_that_python_takes_for_line_breaks_are_none_in_json_lines(
    cloud: LocalCloud, manager: Caller
) -> None:
    row = {"name": "A\u2028B", "email": "ann@example.com", "role": "staff"}
    bad = {"name": "A", "email": "none", "role": "staff"}
    file = json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(bad)
    batch = imported(cloud, manager, file, "application/jsonl")

    assert list(told(batch)) == [2]
    assert [user["name"] for user in manager.users()] == ["A\u2028B"]


@pytest.mark.parametrize(
    "media", ["application/jsonl", "application/x-ndjson", "text/csv; charset=utf-8", "TEXT/CSV"]
)
def test_media_types_that_are_taken(cloud: LocalCloud, manager: Caller, media: str) -> None:
    row = '{"name": "Ann", "email": "ann@example.com", "role": "staff"}\n'
    csv = HEADER + "Ann,ann@example.com,,staff\n"

    imported(cloud, manager, row if "json" in media else csv, media)
    assert emails(manager) == ["ann@example.com"]


@pytest.mark.parametrize("media", ["application/json", "text/plain", "multipart/form-data", "x"])
def test_other_media_types_are_a_415(cloud: LocalCloud, manager: Caller, media: str) -> None:
    answer = upload(manager, HEADER + "Ann,ann@example.com,,staff\n", media)

    assert answer.status_code == 415
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert aws.rows("kernel") == {}


def test_a_manager_gives_every_role_but_admin_and_an_admin_gives_it_too(
    cloud: LocalCloud, manager: Caller, admin: Caller
) -> None:
    rows = "".join(f"N,{role}@example.com,,{role}\n" for role in ("admin", "manager", "customer"))
    batch = imported(cloud, manager, HEADER + rows)
    assert list(told(batch)) == [2]
    assert emails(manager) == ["customer@example.com", "manager@example.com"]

    batch = imported(cloud, admin, HEADER + rows.splitlines(keepends=True)[0])
    assert batch["errors"] == []
    assert [user["email"] for user in manager.users(role="admin")] == ["admin@example.com"]


@pytest.mark.parametrize("role", ["staff", "customer"])
def test_staff_and_customers_import_nobody(client: Client, role: str) -> None:
    assert upload(client.as_(role), HEADER + "A,a@example.com,,staff\n").status_code == 403


def test_a_batch_is_seen_by_its_tenant_only_whatever_the_role(
    cloud: LocalCloud, client: Client, manager: Caller, other: Caller
) -> None:
    answer = upload(manager, HEADER + "A,a@example.com,,staff\n")
    path = f"/v1/batches/{answer.json()['data']['batch_id']}"

    assert other.get(path).status_code == 404
    assert other.naming("t1").get(path).status_code == 404
    for role in ("staff", "customer"):
        assert client.as_(role).get(path).status_code == 200


def test_an_invitation_of_an_import_can_be_accepted(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    imported(cloud, manager, HEADER + "A,a@example.com,,staff\n")
    token = outbox.sent()[0].text.partition("token=")[2].split()[0]

    answer = client.send("POST", "/v1/invitations/accept", json={"token": token})
    assert answer.status_code == 200
    assert answer.json()["data"]["status"] == "active"


def test_a_person_who_waits_is_not_behind_an_import(cloud: LocalCloud, manager: Caller) -> None:
    rows = "".join(f"N,u{number}@example.com,,staff\n" for number in range(30))
    upload(manager, HEADER + rows)
    manager.create_user(email="urgent@example.com")

    assert cloud.state()["queues"]["notify"]["waiting"] == 1
    cloud.run_until_idle()
    kinds = {job["queue"]["S"] for sk, job in aws.rows("kernel").items() if sk.startswith("job#")}
    assert kinds == {"bulk", "notify"}
