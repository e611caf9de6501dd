"""Calls of browsers from any port of this machine, as a front end in development makes them (CORS).

The app's settings name exact origins. So it is told of one that stands for all of this machine,
and the gateway puts that one in the place of theirs on the way in, and theirs back on the way out.
Pages from elsewhere stay shut out, unless the shell's CORS_ORIGINS names them.
"""

import re
from collections.abc import Mapping
from email.message import Message
from typing import TypeAlias

Headers: TypeAlias = dict[str, str | list[str]]

ALL = "http://localhost"  #: stands for every origin of this machine
ALLOWED = "Access-Control-Allow-Origin"
_OF_THIS_MACHINE = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")


def with_this_machine(setting: str) -> str:
    """The setting CORS_ORIGINS with this machine's origins besides."""
    named = [each.strip() for each in setting.split(",") if each.strip()]
    return ",".join(dict.fromkeys([*named, ALL]))


def is_of_this_machine(origin: str | None) -> bool:
    return _OF_THIS_MACHINE.fullmatch(origin or "") is not None


def to_app(headers: Mapping[str, str] | Message) -> dict[str, str]:
    """A request's headers as the app gets them."""
    return {
        name: ALL if name.lower() == "origin" and is_of_this_machine(value) else value
        for name, value in headers.items()
    }


def from_app(headers: Headers, origin: str | None) -> Headers:
    """An answer's headers as the browser that sent `origin` gets them."""
    if headers.get(ALLOWED) == ALL and origin and is_of_this_machine(origin):
        return {"Vary": "Origin", **headers, ALLOWED: origin}
    return headers


def for_control(origin: str | None) -> Headers:
    """What the answers of `/_local` carry for a page of this machine, also to a preflight."""
    if origin is None or not is_of_this_machine(origin):
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        ALLOWED: origin,
        "Access-Control-Allow-Methods": "GET, POST, DELETE",
        "Access-Control-Allow-Headers": "Content-Type",
    }
