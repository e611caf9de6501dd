"""Files as people's programs save them: taken, or refused in words that say what to do."""

import gzip
import io
import zipfile
from typing import Any, NamedTuple

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Caller
from tests.functional.people.uploads import emails, errors_by_line, imported, upload

CSV, JSON_LINES = "text/csv", "application/jsonl"
MARK = "\ufeff"
TWO = ["ann@example.com", "zoe@example.com"]
PLAIN = "name,email,phone,role\nAnn,ann@example.com,,staff\nZoë,zoe@example.com,,manager\n"
ROW = "Ann,ann@example.com,,staff\n"


def workbook() -> bytes:
    """The beginning of what Excel saves as .xlsx."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    return file.getvalue()


def separated(by: str, header: str = "name,email,phone,role") -> str:
    return PLAIN.replace("name,email,phone,role", header).replace(",", by)


def quoted(line: str) -> str:
    return ",".join(f'"{cell}"' for cell in line.split(","))


TAKEN: dict[str, tuple[str | bytes, str]] = {
    "Excel, CSV UTF-8": (MARK + PLAIN.replace("\n", "\r\n"), CSV),
    "line feeds": (PLAIN, CSV),
    "carriage returns only": (PLAIN.replace("\n", "\r"), CSV),
    "no last line break": (PLAIN.rstrip(), CSV),
    "two byte order marks": (MARK + MARK + PLAIN, CSV),
    "Numbers, with empty columns and rows": (
        "name,email,phone,role,,\nAnn,ann@example.com,,staff,,\n,,,,,\nZoë,zoe@example.com,,manager,,\n",
        CSV,
    ),
    "all quoted": ("\n".join(map(quoted, PLAIN.splitlines())), CSV),
    "breaks within quotes": (PLAIN.replace("phone,role", 'phone,role,"notes\nof us"'), CSV),
    "a trailing comma in the header": (PLAIN.replace("role\n", "role,\n"), CSV),
    "columns in another order, and others": (
        "team,role,email,name\nx,staff,ann@example.com,Ann\ny,manager,zoe@example.com,Zoë\n",
        CSV,
    ),
    "a header in capitals with blanks": (PLAIN.replace("name,email", " Name , EMAIL "), CSV),
    "an unknown column twice": (
        "name,email,role,notes,notes\nAnn,ann@example.com,staff,a,b\nZoë,zoe@example.com,staff,,\n",
        CSV,
    ),
    "JSON lines with a mark": (
        MARK
        + '{"name": "Ann", "email": "ann@example.com", "role": "staff"}\n'
        + '{"name": "Zoë", "email": "zoe@example.com", "role": "staff"}\r\n',
        JSON_LINES,
    ),
}


class Refused(NamedTuple):
    body: str | bytes
    status: int
    words: str
    media: str = CSV


REFUSED: dict[str, Refused] = {
    "Excel German": Refused(separated(";"), 422, "has semicolons between its columns"),
    "LibreOffice tabs": Refused(separated("\t"), 422, "has tabs between its columns"),
    "pipes": Refused(separated("|"), 422, "has vertical bars between its columns"),
    "semicolons, all quoted": Refused(
        '"name";"email";"role"\n"Ann";"ann@example.com";"staff"\n', 422, "has semicolons"
    ),
    "semicolons and a comma in a name": Refused(
        'name;email;role;"notes, if any"\nAnn;ann@example.com;staff;\n', 422, "has semicolons"
    ),
    "sep=; as the first line": Refused("sep=;\nname;email\n", 422, "needs a first line with"),
    "sep=, as the first line": Refused("sep=,\n" + PLAIN, 422, "needs a first line with"),
    "UTF-16 with a mark": Refused(PLAIN.encode("utf-16"), 400, "UTF-16; save it as UTF-8"),
    "UTF-16 big end first": Refused(
        MARK.encode("utf-16-be") + PLAIN.encode("utf-16-be"), 400, "UTF-16; save it as UTF-8"
    ),
    "UTF-16 without a mark": Refused(PLAIN.encode("utf-16-le"), 400, "UTF-16; save it as UTF-8"),
    "UTF-16 without a mark, big end": Refused(
        PLAIN.encode("utf-16-be"), 400, "UTF-16; save it as UTF-8"
    ),
    "blanks before quotes": Refused(
        '"name", "email", "role"\n"Ann", "ann@example.com", "staff"\n',
        422,
        "has blanks before its quotes",
    ),
    "an .xlsx": Refused(workbook(), 422, "is an Excel workbook; save it as"),
    "an .xls": Refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), 422, "Excel workbook"),
    "gzip": Refused(gzip.compress(PLAIN.encode()), 415, "compressed (gzip)"),
    "Google Contacts": Refused(
        "Given Name,Family Name,E-mail 1 - Value\nAnn,Lee,ann@example.com\n", 422, "lacks name"
    ),
    "Outlook": Refused("First Name,E-mail Address\nAnn,ann@example.com\n", 422, "lacks name"),
    "no header": Refused(ROW, 422, "needs a first line with"),
    "a title line": Refused("Our staff\n" + PLAIN, 422, "needs a first line with"),
    "a column lacks": Refused("name,email\nAnn,ann@example.com\n", 422, "lacks role"),
    "the address twice": Refused(
        "name,email,role,email\nAnn,a@example.com,staff,b@example.com\n",
        422,
        "has the column email twice",
    ),
    "the role twice": Refused(
        "name,email,role,Role \nAnn,a@example.com,staff,manager\n", 422, "has the column role twice"
    ),
    "phone and name twice": Refused(
        "name,email,phone,role,phone,name\n" + ROW, 422, "has the column name and phone twice"
    ),
    "nothing": Refused("", 422, "needs a first line with"),
    "a form of a browser": Refused(PLAIN, 415, "Send a body of type", "multipart/form-data"),
    "what Windows calls a .csv": Refused(PLAIN, 415, "text/csv", "application/vnd.ms-excel"),
}

#: Rows of which the second is bad, and what is said of it.
BAD_ROWS: dict[str, tuple[str | bytes, str]] = {
    "Windows-1252": (
        "Jörg,j@example.com,,staff".encode("cp1252"),
        'save the file as UTF-8 (in Excel: "CSV UTF-8")',
    ),
    "a phone as Excel leaves it": ("Bob,b@example.com,4.91512E+12,staff", "E.164"),
    "a phone with blanks": ("Bob,b@example.com,+49 151 123456,staff", "E.164"),
    "a phone with 00": ("Bob,b@example.com,0049151123456,staff", "E.164"),
    "a role in capitals": ("Bob,b@example.com,,STAFF", "role"),
    "an address with a name": ("Bob,Bob <b@example.com>,,staff", "email"),
    "a mailto link": ("Bob,mailto:b@example.com,,staff", "email"),
    "an address of before": ("Bob,ANN@example.com,,staff", "email came before, in line 2"),
    "a blank before a quote": ('"Bob", "b@example.com",,staff', "blank before a quote"),
    "too many cells": ("Bob,b@example.com,,staff,x", "has 5 cells, the header 4"),
    "text after a quote": ('"Bob"x,b@example.com,,staff', "text after a closing quote"),
    "an invisible name": ("\u200b,b@example.com,,staff", "name"),
    "a name that turns the text": ("\u202eBob,b@example.com,,staff", "name"),
    "a link as a name": ("See https://evil.example/x,b@example.com,,staff", "name"),
}


@pytest.mark.parametrize(("body", "media"), TAKEN.values(), ids=TAKEN)
def test_what_programs_save_as_utf_8_is_taken(
    cloud: LocalCloud, manager: Caller, body: str | bytes, media: str
) -> None:
    batch = imported(cloud, manager, body, media)
    assert batch["errors"] == []
    assert emails(manager) == TWO


@pytest.mark.parametrize("file", REFUSED.values(), ids=REFUSED)
def test_what_is_no_csv_of_ours_is_refused_for_what_it_is(manager: Caller, file: Refused) -> None:
    answer = upload(manager, file.body, file.media)
    assert answer.status_code == file.status, answer.text
    assert file.words in answer.json()["detail"]


@pytest.mark.parametrize(("row", "words"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_told_with_its_line_and_costs_no_other(
    cloud: LocalCloud, manager: Caller, row: str | bytes, words: str
) -> None:
    line = row if isinstance(row, bytes) else row.encode()
    end = b"Zo\xc3\xab,zoe@example.com,,staff\n"
    batch = imported(cloud, manager, f"name,email,phone,role\n{ROW}".encode() + line + b"\n" + end)
    assert list(errors_by_line(batch)) == [3]
    assert words in errors_by_line(batch)[3]
    assert emails(manager) == TWO


def test_a_member_twice_in_a_json_line_is_told(cloud: LocalCloud, manager: Caller) -> None:
    lines = [
        '{"name": "Ann", "email": "ann@example.com", "role": "staff"}',
        '{"name": "Bob", "email": "b@example.com", "email": "hidden@example.com", "role": "staff"}',
    ]
    batch = imported(cloud, manager, "\n".join(lines), JSON_LINES)
    assert errors_by_line(batch) == {2: "has email twice"}
    assert emails(manager) == ["ann@example.com"]


def test_a_body_with_a_content_encoding_is_refused(manager: Caller) -> None:
    sent: dict[str, Any] = {"Content-Type": CSV, "Content-Encoding": "gzip"}
    body = gzip.compress(PLAIN.encode())
    answer = manager.send("POST", "/admin/v1/users/import", headers=sent, data=body)
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.json()["detail"]
