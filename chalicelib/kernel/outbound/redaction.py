"""Hiding secrets in texts of outside services, before people see them in a log.

A service may echo what it was sent, in the form of its own: as JSON, in a URL, in HTML, in base64.
Texts are hostile too: they are cut before any pattern runs over them, and the patterns are linear,
so that no text takes long (CWE-1333).
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

LONGEST_READ = 2000  #: characters of a text that are looked at
LONGEST_SHOWN = 300
_LONGEST_SPACED = 200  #: characters of a secret that is also found with blanks in between
_HIDDEN = "***"
_LABELED = re.compile(
    r"(?i)((?:passw(?:or)?d|passphrase|pwd|secret|token|credential|authorization|signature|"
    r"api[_ -]?key|access[_ -]?key)[\w-]{0,40}[\"']?\s{0,5}[:=]\s{0,5})(?:(?:bearer|basic)\s{1,5})?"
    r"(\"[^\"]*\"?|'[^']*'?|[^\s,;&}]+)"
)


def cleaned(text: str, secrets: Iterable[str]) -> str:
    """The text, short and printable, without these secrets and without what is labeled as one."""
    pattern, forms = _pattern_of(frozenset(secrets))
    is_cut, text = len(text) > LONGEST_READ, text[:LONGEST_READ]
    if is_cut:
        text = _without_cut_secret(text, forms)
    text = pattern.sub(_HIDDEN, text) if pattern else text
    text = _LABELED.sub(rf"\1{_HIDDEN}", text)
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable[:LONGEST_SHOWN]


def _without_cut_secret(text: str, forms: tuple[str, ...]) -> str:
    """The text without the beginning of a secret at its end, which a pattern would not find."""
    lowered = text.lower()
    for form in forms:
        for size in range(min(len(form) - 1, len(text)), 0, -1):
            if lowered.endswith(form[:size]):
                return text[:-size]
    return text


@lru_cache(maxsize=32)
def _pattern_of(secrets: frozenset[str]) -> tuple[re.Pattern[str] | None, tuple[str, ...]]:
    """A pattern for all forms of these secrets, the longest first; and the forms in lower case."""
    forms = sorted({form for each in secrets for form in _forms(each) if form}, key=len)[::-1]
    if not forms:
        return None, ()
    spaced = (
        r"\s{0,3}".join(map(re.escape, letters))
        # Without its own blanks: beside `\s{0,3}` a run of them would match in too many ways.
        for letters in ("".join(each.split()) for each in secrets)
        if 1 < len(letters) <= _LONGEST_SPACED
    )
    pattern = re.compile("|".join([*map(re.escape, forms), *spaced]), re.IGNORECASE)
    return pattern, tuple(form.lower() for form in forms)


def _forms(secret: str) -> Iterator[str]:
    """What a service may make of a secret that it shows."""
    yield from (secret, repr(secret)[1:-1])
    for ascii_only in (True, False):
        escaped = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield from (escaped, json.dumps(escaped, ensure_ascii=ascii_only)[1:-1])
    for quoted in (quote(secret, safe=""), quote_plus(secret, safe=""), quote(secret)):
        yield from (quoted, quote(quoted, safe=""))
    for quotes in (True, False):
        yield html.escape(secret, quote=quotes)
    yield html.escape(secret).replace("&#x27;", "&#39;")
    yield "".join(f"&#{ord(letter)};" if not letter.isalnum() else letter for letter in secret)
    raw = secret.encode()
    yield raw.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # As a part of something longer it begins at one of three places of a group of letters.
        for before in range(3):
            letters = encode(b"\0" * before + raw).decode().rstrip("=")
            first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
            yield letters[first:last]
