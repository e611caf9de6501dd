"""Time in UTC, and ids that sort by time."""

import os
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_LENGTH = 26


def now() -> datetime:
    return datetime.now(UTC)


def epoch_seconds() -> int:
    """Whole seconds since 1970, as DynamoDB's TTL and our leases count."""
    return int(time.time())


def iso(moment: datetime) -> str:
    """`2026-11-22T10:15:30.123Z`: sorts as text in the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def iso_seconds(epoch: int) -> str:
    """The moment `epoch` seconds after 1970, in the same form as `iso`."""
    return iso(datetime.fromtimestamp(epoch, UTC))


def new_id() -> str:
    """26 characters, 48 bits of milliseconds and 80 random ones, in the order of creation.

    The layout is that of a ULID (https://github.com/ulid/spec), in lower case.
    """
    return encode_id(time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10)), _ID_LENGTH)


def is_id(text: str) -> bool:
    """True for what `new_id` may have made. Anything else names no record, and could be longer
    than a key may be.
    """
    return len(text) == _ID_LENGTH and all(letter in _ALPHABET for letter in text)


def encode_id(number: int, length: int) -> str:
    """The number's lowest bits in the alphabet of ids, five a character."""
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * length - 5, -1, -5))
