"""The rows of an import file: the good ones, and what is wrong with the bad ones. No I/O.

A file is CSV with the header `name,email,phone,role` (in any order, phone optional), or JSON lines.
Line numbers are those of the file: the header of a CSV is line 1, and a line break within quotes
counts. An error in a row, even in its quotes or bytes, affects that row only.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec

from chalicelib.kernel.auth.tenancy import Role
from chalicelib.kernel.errors import BadRequest
from chalicelib.kernel.http.fields import Email, Name, Phone
from chalicelib.kernel.http.validation import errors_of, repeated_member
from chalicelib.people import rules
from chalicelib.people.imports import files

MOST_ROWS = 10_000
_COLUMNS = ("name", "email", "phone", "role")
_REQUIRED = ("name", "email", "role")
_FLAGS = ("send_email", "send_sms")
_BOOLEANS = {"true": True, "false": False}
_ELSE_THAN_UTF8 = 'is not UTF-8; save the file as UTF-8 (in Excel: "CSV UTF-8")'
_NOT_UTF8 = re.compile(r"[\udc80-\udcff]")  #: how "surrogateescape" decodes such bytes
_QUOTE_AFTER_BLANK = re.compile(r'\s+"')

# The size of a body is limited already. This limit holds for the whole process.
csv.field_size_limit(2**31 - 1)

Flag = Annotated[bool, msgspec.Meta(description="true or false")]


class RowValues(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The values of a row."""

    name: Name
    email: Email
    role: Role
    phone: Phone | None = None
    send_email: Flag = True
    send_sms: Flag = True


class Row(RowValues, frozen=True, kw_only=True, omit_defaults=True):
    """One user of a file."""

    line: int


class BadRow(msgspec.Struct, frozen=True):
    """A row that cannot be imported, with everything that is wrong with it."""

    line: int
    detail: str


class Parsed(msgspec.Struct, frozen=True):
    """The rows of a file, in the file's order."""

    good: list[Row]
    bad: list[BadRow]

    @property
    def total(self) -> int:
        return len(self.good) + len(self.bad)


class _RawRow(msgspec.Struct, frozen=True):
    """A row as it stands in the file."""

    line: int
    values: Any = None
    form_error: str | None = None  #: what is wrong with its form; then its values are not checked
    last_line: int = 0


def parse(body: bytes, *, as_csv: bool, by: Role) -> Parsed:
    """The rows of the file.

    Raises BadRequest or UnsupportedMediaType for a file that is neither, Invalid for a header that
    lacks a required column or has one twice, for a file without rows and for one with too many.
    """
    text = files.decoded(body)
    parsed = Parsed([], [])
    seen: dict[str, int] = {}
    for row in _csv_rows(text) if as_csv else _json_rows(text):
        _add(parsed, seen, row, by)
        if parsed.total > MOST_ROWS:
            raise files.invalid(f"has more than {MOST_ROWS:,} rows; split it into several files")
    if not parsed.total:
        raise files.invalid("has no rows")
    return parsed


def _csv_rows(text: str) -> Iterator[_RawRow]:
    lines = io.StringIO(text, newline="").readlines()
    records = _csv_records(lines)
    header = _header(next(records, None), lines)
    for line, last_line, cells in records:
        if isinstance(cells, str):
            yield _RawRow(line, form_error=cells)
        elif any(cell.strip() for cell in cells):
            form_error = _form_error(cells, len(header))
            yield _RawRow(line, _by_column(header, cells), form_error, last_line)


_Record = tuple[int, int, list[str] | str]


class _Lines:
    """Iterates over the lines of a file up to `end`; `at` counts them and may be set back."""

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
    """The records: first line, last line, and the cells or the reason why they cannot be read.

    After a record that cannot be read, reading goes on at the line after its first one: otherwise a
    quote that is never closed would swallow good rows.
    """
    feed, badly_closed = _Lines(lines), 0
    reader = csv.reader(feed, strict=True)
    while (before := feed.at) < len(lines):
        # A quote that is open at the end of a line before `badly_closed` ends there badly too. Not
        # looking for its end again keeps the time linear in the size of the file.
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
        return f"has a quote that is closed only in line {ended}, with text after it"
    return "has text after a closing quote; double a quote that stands within quotes"


def _header(first: _Record | None, lines: list[str]) -> list[str]:
    """The names of the columns. Raises BadRequest or Invalid."""
    line, _, cells = first or (1, 1, [])
    header = [] if isinstance(cells, str) else [name.strip().lower() for name in cells]
    text = lines[line - 1] if lines else ""
    if other := files.why_otherwise_separated(text, header, _REQUIRED):
        raise files.invalid(other)
    if isinstance(cells, str):
        raise BadRequest(f"The file cannot be read: its header in line {line} {cells}")
    if not set(_REQUIRED) <= set(header):
        raise files.invalid(files.why_no_header(header, _REQUIRED))
    if repeated := files.why_repeated(header, (*_COLUMNS, *_FLAGS)):
        raise files.invalid(repeated)
    return header


def _form_error(cells: list[str], columns: int) -> str | None:
    if _NOT_UTF8.search("".join(cells)):
        return _ELSE_THAN_UTF8
    if any(map(_QUOTE_AFTER_BLANK.match, cells)):
        return "has a blank before a quote; write no blanks after the commas"
    return f"has {len(cells)} cells, the header {columns}" if len(cells) > columns else None


def _by_column(header: list[str], cells: Iterable[str]) -> dict[str, Any]:
    """A line's cells by the name of their column, without blank ones."""
    cleaned = zip(header, (cell.strip() for cell in cells), strict=False)
    return {
        name: _BOOLEANS.get(cell.lower(), cell) if name in _FLAGS else cell
        for name, cell in cleaned
        if cell and name in (*_COLUMNS, *_FLAGS)
    }


def _json_rows(text: str) -> Iterator[_RawRow]:
    # Not splitlines, which also splits at U+2028 and others: a JSON string may contain them.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _json_row(number, line)


def _json_row(line: int, text: str) -> _RawRow:
    readable, broken = _NOT_UTF8.subn("\ufffd", text)
    form_error = _ELSE_THAN_UTF8 if broken else None
    try:
        values = msgspec.json.decode(readable)
        if repeated := repeated_member(readable):
            form_error = form_error or f"has {repeated} twice"
        return _RawRow(line, values, form_error)
    except (msgspec.DecodeError, RecursionError):
        return _RawRow(line, form_error=form_error or "is not readable JSON")


def _add(parsed: Parsed, seen: dict[str, int], row: _RawRow, by: Role) -> None:
    errors = [row.form_error] if row.form_error else _errors_in(row.values, by)
    first_line = _first_line_with(_email_key(row.values), seen, row.line)
    if first_line != row.line:
        errors.append(f"email came before, in line {first_line}")
    if not errors:
        parsed.good.append(msgspec.convert({**row.values, "line": row.line}, Row))
        return
    if row.last_line > row.line:
        errors.append(f"its quotes reach to line {row.last_line}")
    parsed.bad.append(BadRow(row.line, "; ".join(errors)))


def _errors_in(values: Any, by: Role) -> list[str]:
    errors: list[str] = []
    try:
        msgspec.convert(values, RowValues)
    except msgspec.ValidationError:
        field_errors = errors_of(values, RowValues)
        errors += [f"{error.field} {error.detail}".strip() for error in field_errors]
    if isinstance(values, dict) and not rules.may_give(by, values.get("role", "staff")):
        errors.append("role admin can be given only by an admin")
    return errors


def _email_key(values: Any) -> str | None:
    """The key of the row's address, even if the row is bad; None without a good address."""
    try:
        return rules.email_key(msgspec.convert(values["email"], Email))
    except (TypeError, KeyError, msgspec.ValidationError):
        return None


def _first_line_with(key: str | None, seen: dict[str, int], line: int) -> int:
    return seen.setdefault(key, line) if key else line
