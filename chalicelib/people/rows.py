"""The rows of an import file: which are good, and what is wrong with each bad one. No I/O.

CSV with the header `name,email,phone,role` (in any order, phone optional), or JSON lines. Line
numbers are the file's own: a CSV's header is line 1, and a quoted line break counts.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from chalicelib.kernel.errors import BadRequest, Fault, Invalid
from chalicelib.kernel.tenancy import Role
from chalicelib.kernel.validation import Email, Name, Phone, faults_of
from chalicelib.people import rules

MOST_ROWS = 10_000
_REQUIRED = ("name", "email", "role")
_KNOWN = (*_REQUIRED, "phone")


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One user of a file."""

    name: Name
    email: Email
    role: Role
    phone: Phone | None = None
    line: int = 0


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be taken, and everything that is wrong with it."""

    line: int
    detail: str


@dataclass(frozen=True)
class Parsed:
    """A file's rows, in its order."""

    good: list[Row]
    bad: list[BadRow]

    @property
    def total(self) -> int:
        return len(self.good) + len(self.bad)


def parse(body: bytes, *, as_csv: bool, by: Role) -> Parsed:
    """The file's rows. Raises BadRequest when it cannot be read as such a file at all, Invalid for
    a header without the columns that are needed, for no rows and for too many.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest("The file is not UTF-8") from error
    parsed = Parsed([], [])
    seen: dict[str, int] = {}
    for line, values in _csv_rows(text) if as_csv else _json_rows(text):
        _sort_in(parsed, seen, line, values, by)
        if parsed.total > MOST_ROWS:
            raise _invalid(f"has more than {MOST_ROWS:,} rows; split it")
    if not parsed.total:
        raise _invalid("has no rows")
    return parsed


def _invalid(detail: str) -> Invalid:
    return Invalid(f"The file {detail}", faults=(Fault("body", detail),))


def _csv_rows(text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in _REQUIRED if name not in header]
        if missing:
            raise _invalid(f"needs a first line with {','.join(_KNOWN)}; not found: {missing}")
        yield from _csv_body(reader, header)
    except csv.Error as error:
        raise BadRequest(f"Line {reader.line_num} is not readable CSV: {error}") from error


def _csv_body(reader: Any, header: list[str]) -> Iterator[tuple[int, Any]]:
    began = reader.line_num + 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            if len(cells) > len(header):
                yield began, f"has {len(cells)} cells, the header {len(header)}"
            else:
                yield began, _named(header, cells)
        began = reader.line_num + 1


def _named(header: list[str], cells: Iterable[str]) -> dict[str, str]:
    """A line's cells by column; blank ones count as left out."""
    cleaned = zip(header, (cell.strip() for cell in cells), strict=False)
    return {name: cell for name, cell in cleaned if name in _KNOWN and cell}


def _json_rows(text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines: U+2028 and others that it takes for line breaks may stand in a JSON string.
    for line, each in enumerate(text.split("\n"), start=1):
        if each.strip():
            try:
                yield line, msgspec.json.decode(each)
            except (msgspec.DecodeError, RecursionError):
                yield line, "is not readable JSON"


def _sort_in(parsed: Parsed, seen: dict[str, int], line: int, values: Any, by: Role) -> None:
    if isinstance(values, str):
        parsed.bad.append(BadRow(line, values))
        return
    faults = faults_of(values, Row)
    if faults:
        parsed.bad.append(BadRow(line, "; ".join(f"{name} {told}" for name, told in faults)))
        return
    row = msgspec.convert({**values, "line": line}, Row)
    first = seen.setdefault(rules.email_key(row.email), line)
    if first != line:
        parsed.bad.append(BadRow(line, f"email came before, in line {first}"))
    elif not rules.may_give(by, row.role):
        parsed.bad.append(BadRow(line, "role admin can be given by an admin only"))
    else:
        parsed.good.append(row)
