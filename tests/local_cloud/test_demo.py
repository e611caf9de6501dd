"""`make demo` and its sample file."""

import csv
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from infra.demo import SAMPLE, _figures, read
from tests.local_cloud.conftest import Run
from tests.local_cloud.programs import Cloud

pytestmark = pytest.mark.local

PEOPLE = """name,email,phone,role
Zoë Brontë,zoe@example.com,+447700900100,staff
王小明,xiaoming@example.com,,customer
Zoë Again,ZOE@example.com,+447700900100,staff
,blank@example.com,12345,king
Tom <b>Bold</b>,tom@example.com,+12025550100,customer
"""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE, encoding="utf-8")
    return file


def test_it_starts_its_own_cloud_ends_by_itself_and_prints_the_results(
    start: Run, people: Path
) -> None:
    demo = start("infra.demo", "--file", str(people))
    assert demo.wait() == 0, demo.output
    assert "3 accepted, 2 refused" in demo.output
    assert "Traceback" not in demo.output
    cells = [line.split("│")[1:-1] for line in demo.output.splitlines() if line.startswith("│")]
    rows = [[cell.strip() for cell in row] for row in cells]
    emails = [
        row for row in rows if row[0] == "email"
    ]  # SES may have reported the delivery already
    assert sum(int(row[2]) for row in emails) == 3
    assert {row[1] for row in emails} <= {"sent", "delivered"}
    assert ["sms", "sent", "2"] in rows
    refused = {row[0][:3]: row[2] for row in rows if row[0][:3] in ("409", "422")}
    assert refused["409"] in ("2", "4")  # sent side by side
    assert refused["422"] == "5"
    (accepting, sending) = (row for row in rows if row[0].startswith(("accepting", "from")))
    assert all(cell.isdecimal() for cell in [*accepting[1:], *sending[1:]])


def test_it_sends_to_an_api_that_runs_already(
    start: Run, people: Path, shared_cloud: Cloud
) -> None:
    where = ["--url", shared_cloud.url, "--token", shared_cloud.token]
    first = start("infra.demo", "--file", str(people), *where)
    assert first.wait() == 0, first.output
    assert {"xiaoming@example.com", "tom@example.com"} <= shared_cloud.recipients()
    again = start("infra.demo", "--file", str(people), *where)
    assert again.wait() == 0, again.output
    assert "0 accepted, 5 refused" in again.output


def test_an_api_that_is_not_there_is_one_sentence(start: Run, people: Path) -> None:
    demo = start("infra.demo", f"--file={people}", "--url=http://127.0.0.1:9", "--token=x")
    assert demo.wait() == 1
    assert "The API does not answer" in demo.output
    assert "Traceback" not in demo.output


def test_the_sample_has_200_people_in_many_scripts() -> None:
    rows = read(SAMPLE)
    assert [row.line for row in rows] == list(range(2, 202))
    names = "".join(row.values["name"] for row in rows)
    scripts = {unicodedata.name(letter).split()[0] for letter in names if letter.isalpha()}
    assert scripts >= {
        "LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW", "DEVANAGARI", "CJK", "HANGUL",
        "HIRAGANA", "KATAKANA", "THAI",
    }  # fmt: skip


def test_the_sample_writes_only_to_addresses_and_numbers_reserved_for_examples() -> None:
    reserved = ("+4477009", "+120255501", "+336399800", "+467017406", "+49171392")
    rows = read(SAMPLE)
    assert sum("@example." in row.values["email"].lower() for row in rows) > 100
    assert sum(row.values["phone"].startswith(reserved) for row in rows) > 100
    for row in rows:
        host = row.values["email"].lower().partition("@")[2]
        if host and " " not in row.values["email"]:
            assert host.lstrip("@").removeprefix("mail.") in (
                "example.com",
                "example.org",
                "example.net",
            )
        phone = row.values["phone"]
        if phone.startswith("+") and phone[1:].isdecimal() and 8 <= len(phone) <= 16:
            assert phone.startswith((*reserved, "+0")), phone


def test_the_sample_has_what_an_import_must_stand() -> None:
    with SAMPLE.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    emails = [row["email"] for row in rows]
    exact = {email for email, count in Counter(emails).items() if count > 1}
    folded = {email for email, count in Counter(map(str.lower, emails)).items() if count > 1}
    assert exact
    assert folded > {email.lower() for email in exact}
    names = {row["name"] for row in rows}
    assert {"", "{{7*7}}", "Niamh O'Brien"} <= names
    assert any("<b>" in name for name in names)
    assert max(map(len, names)) > 200


def test_figures_are_values_that_occurred() -> None:
    assert _figures([float(number) for number in range(1, 101)]) == ["1", "51", "95", "100"]
    assert _figures([]) == ["-", "-", "-", "-"]
