"""The rows of an import file: which are good, and what is wrong with each bad one. No I/O.

CSV with the header `name,email,phone,role` (in any order, phone optional), or JSON lines. Line
numbers are the file's own: a CSV's header is line 1, and a quoted line break counts. Whatever is
wrong with a row, down to its quotes and bytes, costs that row only.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec

from chalicelib.kernel.auth.tenancy import Role
from chalicelib.kernel.errors import BadRequest, FieldError, Invalid
from chalicelib.kernel.http.validation import Email, Name, Phone, faults_of
from chalicelib.people import rules

MOST_ROWS = 10_000
_COLUMNS = ("name", "email", "phone", "role")
_REQUIRED = ("name", "email", "role")
_FLAGS = ("send_email", "send_sms")
_WORDS = {"true": True, "false": False}
_NOT_UTF8 = re.compile(r"[\udc80-\udcff]")  #: what "surrogateescape" makes of such bytes
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# How long a body may be is known before; this limit is one for the whole process.
csv.field_size_limit(2**31 - 1)

Flag = Annotated[bool, msgspec.Meta(description="true or false")]


class Given(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a row says."""

    name: Name
    email: Email
    role: Role
    phone: Phone | None = None
    send_email: Flag = True
    send_sms: Flag = True


class Row(Given, frozen=True, kw_only=True, omit_defaults=True):
    """One user of a file."""

    line: int


class BadRow(msgspec.Struct, frozen=True):
    """A row that cannot be taken, and everything that is wrong with it."""

    line: int
    detail: str


class Parsed(msgspec.Struct, frozen=True):
    """A file's rows, in its order."""

    good: list[Row]
    bad: list[BadRow]

    @property
    def total(self) -> int:
        return len(self.good) + len(self.bad)


class _Found(msgspec.Struct, frozen=True):
    """A row as it stands in the file."""

    line: int
    values: Any = None
    fault: str | None = None  #: of its form; then its values are not judged
    last_line: int = 0


def parse(body: bytes, *, as_csv: bool, by: Role) -> Parsed:
    """The file's rows. Raises BadRequest when it cannot be read as such a file at all, Invalid for
    a header without the columns that are needed, for no rows and for too many.
    """
    if body.startswith(_UTF16):
        raise BadRequest("The file is UTF-16; save it as UTF-8")
    text = body.decode("utf-8-sig", errors="surrogateescape")
    parsed = Parsed([], [])
    seen: dict[str, int] = {}
    for found in _csv_rows(text) if as_csv else _json_rows(text):
        _sort_in(parsed, seen, found, by)
        if parsed.total > MOST_ROWS:
            raise _invalid(f"has more than {MOST_ROWS:,} rows; split it")
    if not parsed.total:
        raise _invalid("has no rows")
    return parsed


def _invalid(detail: str) -> Invalid:
    return Invalid(f"The file {detail}", field_errors=(FieldError("body", detail),))


def _csv_rows(text: str) -> Iterator[_Found]:
    lines = io.StringIO(text, newline="").readlines()
    records = _csv_records(lines)
    header = _header(next(records, None), lines)
    for line, last_line, cells in records:
        if isinstance(cells, str):
            yield _Found(line, fault=cells)
        elif any(cell.strip() for cell in cells):
            fault = _fault_of_form(cells, len(header))
            yield _Found(line, _named(header, cells), fault, last_line)


_Record = tuple[int, int, list[str] | str]


class _Lines:
    """The lines of a file up to `end`; `at` are handed out, and may be set back."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.at, self.end = lines, 0, len(lines)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.at >= self.end:
            raise StopIteration
        self.at += 1
        return self.lines[self.at - 1]


def _csv_records(lines: list[str]) -> Iterator[_Record]:
    """Each record: its first line, its last, and its cells or why it cannot be read.

    One that cannot be read costs its first line only, and reading goes on at the next: a quote
    that nobody closed would otherwise swallow good rows.
    """
    feed, badly_closed = _Lines(lines), 0
    reader = csv.reader(feed, strict=True)
    while (before := feed.at) < len(lines):
        # A quote open at the end of a line before `badly_closed` meets the same end as the one
        # that led there. Not looking again keeps this linear in the file's size.
        feed.end = before + 1 if before < badly_closed else len(lines)
        try:
            cells = next(reader)
        except csv.Error as error:
            badly_closed = max(badly_closed, feed.at - 1)
            yield before + 1, before + 1, _why_unreadable(error, before + 1, feed.at)
            feed.at = before + 1
        else:
            yield before + 1, feed.at, cells


def _why_unreadable(error: csv.Error, began: int, ended: int) -> str:
    if "unexpected end" in str(error):
        return "has a quote that is never closed"
    if ended > began:
        return f"has a quote that is closed in line {ended} only, with text after it"
    return "has text after a closing quote; a quote within quotes is written twice"


def _header(first: _Record | None, lines: list[str]) -> list[str]:
    """The names of the columns. Raises BadRequest or Invalid."""
    line, _, cells = first or (1, 1, [])
    if lines and "," not in lines[line - 1] and re.search("[;\t]", lines[line - 1]):
        raise _invalid("has no commas between its columns; separate columns by commas")
    if isinstance(cells, str):
        raise BadRequest(f"The file cannot be read: its header, line {line}, {cells}")
    header = [name.strip().lower() for name in cells]
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        needed = ",".join(_COLUMNS)
        raise _invalid(f"needs a first line with {needed}; not found: {', '.join(missing)}")
    return header


def _fault_of_form(cells: list[str], columns: int) -> str | None:
    if _NOT_UTF8.search("".join(cells)):
        return "is not UTF-8"
    return f"has {len(cells)} cells, the header {columns}" if len(cells) > columns else None


def _named(header: list[str], cells: Iterable[str]) -> dict[str, Any]:
    """A line's cells by column; blank ones count as left out."""
    cleaned = zip(header, (cell.strip() for cell in cells), strict=False)
    return {
        name: _WORDS.get(cell.lower(), cell) if name in _FLAGS else cell
        for name, cell in cleaned
        if cell and name in (*_COLUMNS, *_FLAGS)
    }


def _json_rows(text: str) -> Iterator[_Found]:
    # Not splitlines: U+2028 and others that it takes for line breaks may stand in a JSON string.
    for line, each in enumerate(text.split("\n"), start=1):
        if each.strip():
            yield _json_row(line, each)


def _json_row(line: int, text: str) -> _Found:
    readable, broken = _NOT_UTF8.subn("\ufffd", text)
    fault = "is not UTF-8" if broken else None
    try:
        return _Found(line, msgspec.json.decode(readable), fault)
    except (msgspec.DecodeError, RecursionError):
        return _Found(line, fault=fault or "is not readable JSON")


def _sort_in(parsed: Parsed, seen: dict[str, int], found: _Found, by: Role) -> None:
    told = [found.fault] if found.fault else _faults(found.values, by)
    first = _first_line_with(_email_key(found.values), seen, found.line)
    if first != found.line:
        told.append(f"email came before, in line {first}")
    if not told:
        parsed.good.append(msgspec.convert({**found.values, "line": found.line}, Row))
        return
    if found.last_line > found.line:
        told.append(f"its quotes reach to line {found.last_line}")
    parsed.bad.append(BadRow(found.line, "; ".join(told)))


def _faults(values: Any, by: Role) -> list[str]:
    told: list[str] = []
    try:
        msgspec.convert(values, Given)
    except msgspec.ValidationError:
        told += [f"{fault.field} {fault.detail}".strip() for fault in faults_of(values, Given)]
    if isinstance(values, dict) and not rules.may_give(by, values.get("role", "staff")):
        told.append("role admin can be given by an admin only")
    return told


def _email_key(values: Any) -> str | None:
    """The key of the row's address, whatever else is wrong with the row; None without one."""
    try:
        return rules.email_key(msgspec.convert(values["email"], Email))
    except (TypeError, KeyError, msgspec.ValidationError):
        return None


def _first_line_with(key: str | None, seen: dict[str, int], line: int) -> int:
    return seen.setdefault(key, line) if key else line
