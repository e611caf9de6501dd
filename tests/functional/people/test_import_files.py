"""Files to import: what is read, what is refused, and how each bad row is reported."""

import random
from string import ascii_lowercase, digits

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Caller, Client, aws_calls
from tests.functional.people.uploads import HEADER, batch_of, emails, imported, upload


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
    assert sorted((each.channel, each.to) for each in mailbox.sent()) == [
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


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422),
        (b"\n\n", 422),
        (b"name,email,phone,role\n", 422),
        (b"name,email,phone\nAnn,ann@example.com,\n", 422),
        (b"Ann,ann@example.com,,staff\n", 422),
        (b"name;email;phone;role\nAnn;ann@example.com;;staff\n", 422),
        (b'name,email,phone,"role\nAnn,ann@example.com,,staff\n', 400),
        (b'"name"x,email,phone,role\nAnn,ann@example.com,,staff\n', 400),
        ("name,email,role\n".encode("utf-16"), 400),
    ],
    ids=[
        "nothing",
        "blank lines",
        "only a header",
        "a column is missing",
        "no header",
        "semicolons",
        "a header with a quote without an end",
        "a header with text after a quote",
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


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("name;email;phone;role", "separate the columns by commas"),
        ('"name";"email";"phone";"role"', "separate the columns by commas"),
        ("name\temail\tphone\trole", "separate the columns by commas"),
        ("phone,email", "needs a first line with name,email,phone,role; it lacks name, role"),
    ],
)
def test_a_header_that_does_not_do_is_told_in_words_that_help(
    manager: Caller, header: str, expected: str
) -> None:
    problem = upload(manager, f"{header}\n").json()

    assert expected in problem["detail"]
    assert problem["errors"][0]["field"] == "body"


def test_ten_thousand_rows_are_taken_and_one_more_is_a_422(
    cloud: LocalCloud, manager: Caller
) -> None:
    rows = [f"N,u{number}@example.com,,staff\n" for number in range(10_001)]
    assert upload(manager, HEADER + "".join(rows)).status_code == 422

    taken = upload(manager, HEADER + "".join(rows[:-1]))
    assert taken.status_code == 202
    assert aws_calls(taken) <= 5
    assert batch_of(manager, taken)["total"] == 10_000


@pytest.mark.thorough
def test_rows_that_hardly_compress_are_taken_too(cloud: LocalCloud, manager: Caller) -> None:
    chance = random.Random(7)
    letters = [chr(0x4E00 + number) for number in range(20_000)]

    def long_row(number: int) -> str:
        name = "".join(chance.choices(letters, k=200))
        parts = ["".join(chance.choices(ascii_lowercase + digits, k=60)) for _ in range(3)]
        return f"{name},{number:04}{parts[0]}@{parts[1]}.{parts[2]}.example,,staff\n"

    long = [long_row(number) for number in range(900)]
    short = [f"N,u{number}@example.com,,staff\n" for number in range(9_100)]
    taken = upload(manager, HEADER + "".join(long + short))

    assert taken.status_code == 202, taken.text
    assert batch_of(manager, taken)["total"] == 10_000
    assert 12 < len([sk for sk in aws.rows("people") if sk.startswith("upload#")]) <= 16


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
