"""Files that people take for CSV and that are none: refused for what they are. No I/O.

Each message says what the file is and how to save it, since "no columns found" helps nobody.
"""

import codecs
import re
from collections import Counter
from collections.abc import Collection

from chalicelib.kernel.errors import BadRequest, FieldError, Invalid, UnsupportedMediaType


def _beginnings(*files: bytes) -> tuple[bytes, ...]:
    """How files begin, also after a gateway has read them as UTF-8, as API Gateway does."""
    return (*files, *(each.decode(errors="replace").encode() for each in files))


_WORKBOOKS = _beginnings(b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a")  #: .xlsx and .xls
_GZIP = _beginnings(b"\x1f\x8b\x08")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_LOOKED_AT = 1000  #: bytes in which UTF-16 without a mark is looked for
_MARK = "\ufeff"


def invalid(detail: str) -> Invalid:
    return Invalid(f"The file {detail}", field_errors=(FieldError("body", detail),))


def decoded(body: bytes) -> str:
    """The text of the file, with lone surrogates in place of bytes that are not UTF-8.

    Raises UnsupportedMediaType for a compressed file, Invalid for a workbook, and BadRequest for
    UTF-16.
    """
    if body.startswith(_GZIP):
        raise UnsupportedMediaType("The file is compressed (gzip); send it as it is")
    if body.startswith(_WORKBOOKS):
        raise invalid('is an Excel workbook; save it as "CSV UTF-8" and send that')
    if body.startswith(_UTF16_MARKS) or _is_utf16(body[:_LOOKED_AT]):
        raise BadRequest("The file is UTF-16; save it as UTF-8")
    # Programs that add a mark to a file that has one leave two.
    return body.decode(errors="surrogateescape").lstrip(_MARK)


def _is_utf16(beginning: bytes) -> bool:
    """True if most letters have an empty other half, as Latin letters do in UTF-16."""
    halves = (beginning[::2], beginning[1::2])
    return any(half.count(0) > len(half) / 2 for half in halves)


def why_otherwise_separated(
    line: str, names: Collection[str], required: Collection[str]
) -> str | None:
    """What is wrong with a first line that shows more of the columns with another separator."""
    for separator, called in _SEPARATORS.items():
        others = {name.strip(' "').lower() for name in line.split(separator)}
        if len(others & set(required)) > len(set(names) & set(required)):
            return f"has {called} between its columns; separate the columns by commas"
    return None


def why_no_header(names: list[str], required: Collection[str]) -> str:
    """What is wrong with a first line in which these columns were read and required ones lack."""
    if any(re.match('"', name) for name in names):
        return "has blanks before its quotes; write no blanks after the commas"
    missing = ", ".join(name for name in required if name not in names)
    return f"needs a first line with name,email,phone,role; it lacks {missing}"


def why_repeated(names: list[str], known: Collection[str]) -> str | None:
    """What is wrong with a first line that has a column twice: nobody knows which one counts."""
    twice = [name for name, count in Counter(names).items() if count > 1 and name in known]
    return f"has the column {' and '.join(twice)} twice; remove one of them" if twice else None
