"""Time in UTC, and ids that sort by time."""

import os
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_LENGTH = 26


def now() -> datetime:
    return datetime.now(UTC)


def epoch_seconds() -> int:
    """Whole seconds since 1970, the unit of DynamoDB's TTL and of our leases."""
    return int(time.time())


def iso(moment: datetime) -> str:
    """A moment as `2026-11-22T10:15:30.123Z`; such texts sort in the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def iso_seconds(epoch: int) -> str:
    """The moment `epoch` seconds after 1970, in the same form as `iso`."""
    return iso(datetime.fromtimestamp(epoch, UTC))


def new_id() -> str:
    """26 characters: 48 bits of milliseconds, then 80 random bits. Ids sort by time of creation.

    The layout is that of a ULID (https://github.com/ulid/spec), in lower case.
    """
    return encode_id(time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10)), _ID_LENGTH)


def is_id(text: str) -> bool:
    """True for a text that `new_id` could have returned.

    Any other text names no record, and could be longer than DynamoDB allows a key to be.
    """
    return len(text) == _ID_LENGTH and all(letter in _ALPHABET for letter in text)


def encode_id(number: int, length: int) -> str:
    """The lowest `5 * length` bits of the number in the alphabet of ids, five bits a character."""
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * length - 5, -1, -5))
