"""The keys that sign links and cursors, from the command line: shown without secrets, rotated."""

import argparse
import hashlib
import secrets
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from chalicelib.kernel import aws, clock, keyring
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.settings import settings
from chalicelib.people import rules

#: How long a link may be out after its key has signed for the last time, with a day to spare.
LINKS_LIVE_SECONDS = rules.INVITATION_SECONDS + 86_400


class Stored(NamedTuple):
    keys: tuple[str, ...]
    version: int  #: of the parameter, counted by SSM
    now: int  #: epoch seconds by the clock of SSM, which is nearer to the functions' than ours


def add_commands(subjects: Any) -> None:
    """Adds `keys rotate|show`."""
    parser = subjects.add_parser("keys", help="rotate or show the keys that sign links")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("rotate", help="add a new key").set_defaults(command=rotate)
    actions.add_parser("show", help="all keys, without their secrets").set_defaults(command=show)


def rotate(_: argparse.Namespace) -> str:
    """Adds a key, and drops those that no valid link was signed with any more.

    Raises Conflict while the last rotation is under way. Of two that run at once none loses the
    other's key.
    """
    before = _read()
    wait_seconds = keyring.since(before.keys[0]) + keyring.SIGNS_AFTER_SECONDS - before.now
    if wait_seconds > 0:
        raise Conflict(f"A key was added just now; it signs in {wait_seconds} seconds")
    new = f"{before.now}:{secrets.token_urlsafe(32)}"
    kept = still_needed(before.keys, before.now)
    after = _write((new, *kept), before.version)
    dropped = len(before.keys) - len(kept)
    told = [f"Added {_fingerprint(new)}. It verifies now, and signs in ten minutes."]
    if dropped:
        told.append(f"Dropped {dropped}, of whose time no link is valid any more.")
    return "\n".join([*told, *_lines(after, before.now)])


def show(_: argparse.Namespace) -> str:
    found = _read()
    return "\n".join(_lines(found.keys, found.now))


def still_needed(keys: tuple[str, ...], now: int) -> tuple[str, ...]:
    """The keys without those that a newer one replaced so long ago that no link of theirs lives."""
    for place, key in enumerate(keys):
        signs_since = keyring.since(key) + keyring.SIGNS_AFTER_SECONDS
        if keyring.since(key) and now - signs_since >= LINKS_LIVE_SECONDS:
            return keys[: place + 1]
    return keys


def _name() -> str:
    return f"/backburner/{settings.stage}/signing-keys"


def _read(selector: str = "") -> Stored:
    answer = aws.client("ssm").get_parameter(Name=_name() + selector, WithDecryption=True)
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = int(parsedate_to_datetime(date).timestamp()) if date else clock.epoch_seconds()
    found = answer["Parameter"]
    return Stored(keyring.parse(found["Value"]), int(found["Version"]), now)


def _write(keys: tuple[str, ...], read_version: int) -> tuple[str, ...]:
    """Stores the keys together with those that others have stored since `read_version`.

    SSM has no conditional write, but counts versions and keeps them: what came in between was
    overwritten just now, and is stored again. No key signs in its first ten minutes, so nobody
    misses it meanwhile.
    """
    version = int(
        aws.client("ssm").put_parameter(
            Name=_name(), Value=",".join(keys), Type="SecureString", Overwrite=True
        )["Version"]
    )
    between = [_read(f":{number}").keys for number in range(read_version + 1, version)]
    lost = {key for stored in between for key in stored} - set(keys)
    if not lost:
        return keys
    return _write(tuple(sorted((*keys, *lost), key=keyring.since, reverse=True)), version)


def _lines(keys: tuple[str, ...], now: int) -> list[str]:
    signing = keyring.signing_one(keys, now)
    return [f"  {_fingerprint(key)}  {_age(key)}  {_use(key, signing, now)}" for key in keys]


def _age(key: str) -> str:
    since = keyring.since(key)
    return f"since {clock.iso_seconds(since)}" if since else "from the beginning"


def _use(key: str, signing: str, now: int) -> str:
    if key == signing:
        return "signs"
    signs_at = keyring.since(key) + keyring.SIGNS_AFTER_SECONDS
    return "verifies" if signs_at <= now else f"verifies, signs from {clock.iso_seconds(signs_at)}"


def _fingerprint(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:12]
