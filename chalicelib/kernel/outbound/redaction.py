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
from html.entities import html5
from urllib.parse import quote, quote_plus

LONGEST_READ = 2000  #: characters of a text that are looked at
LONGEST_SHOWN = 300
_LONGEST_SPACED = 200  #: characters of a secret that is also found with blanks in between
_HIDDEN = "***"
_BYTE = 256
_CONTROLS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
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
    """A pattern for all forms of these secrets, the longest first; and the forms in lower case.

    Those forms are also looked for where a text was cut, which a pattern cannot do.
    """
    secrets = frozenset(filter(None, secrets))
    forms = sorted({form for each in secrets for form in _forms(each) if form}, key=len)[::-1]
    if not forms:
        return None, ()
    respelled = map(_respelled, secrets)
    spaced = (
        r"\s{0,3}".join(map(re.escape, letters))
        # Without its own blanks: beside `\s{0,3}` a run of them would match in too many ways.
        for letters in ("".join(each.split()) for each in secrets)
        if 1 < len(letters) <= _LONGEST_SPACED
    )
    found = [*map(re.escape, forms), *respelled, *spaced]
    pattern = re.compile("|".join(found), re.IGNORECASE)
    return pattern, tuple(form.lower() for form in forms)


def _respelled(secret: str) -> str:
    """A pattern for the secret with any letter but A to Z and 0 to 9 escaped in any usual way.

    Languages differ in which letters they escape and how: a JSON encoder may write `<` or
    `\\u003c`, a template `&#34;` or `&quot;`.
    """
    return "".join(_respelled_part(part) for part in re.findall(r"\\+|[^\\]", secret))


def _respelled_part(part: str) -> str:
    """A pattern for one letter, or for a run of backslashes, which a string in a string doubles."""
    if part[0] == "\\":
        return rf"(?:\\{{{len(part)},{4 * len(part)}}}|{'%5C' * len(part)}|{'&#92;' * len(part)})"
    if part.isascii() and part.isalnum():
        return part
    code, in_url = ord(part), quote(part, safe="", errors="replace")
    plain = [re.escape(part), in_url, quote(in_url, safe=""), f"&#0{{0,4}}{code};"]
    plain += [f"&#x0{{0,4}}{code:x};", *(f"&{name};" for name in _entities_of(part))]
    plain += [r"\+"] if part == " " else []
    units = part.encode("utf-16-be", "surrogatepass").hex()
    escaped = ["".join(rf"\\{{1,5}}u{units[at : at + 4]}" for at in range(0, len(units), 4))]
    escaped += [rf"\\{{1,5}}x{code:02x}"] if code < _BYTE else []
    escaped += [rf"\\{{1,5}}{_CONTROLS[part]}"] if part in _CONTROLS else []
    return rf"(?:\\{{0,4}}(?:{'|'.join(plain)})|{'|'.join(escaped)})"


def _entities_of(letter: str) -> list[str]:
    """The names of the letter's entities in HTML."""
    names = (name.rstrip(";").lower() for name, letters in html5.items() if letters == letter)
    return sorted(set(names))


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
