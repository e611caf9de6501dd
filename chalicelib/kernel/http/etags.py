"""Versions of one record over HTTP: ETag, If-None-Match, If-Match (RFC 9110, section 8.8, 13.1)."""

import base64
import hashlib
import re

from chalicelib.kernel.errors import PreconditionFailed
from chalicelib.kernel.store.preconditions import IfMatch

_VERSION = re.compile(r'"v([1-9][0-9]{0,14})"')


def of_version(version: int) -> str:
    return f'"v{version}"'


def of_content(content: bytes) -> str:
    """For a record without a version: equal content, equal tag."""
    digest = hashlib.sha256(content).digest()[:12]
    return f'"{base64.urlsafe_b64encode(digest).decode()}"'


def matches(header: str | None, etag: str) -> bool:
    """True when If-None-Match names this tag, weak or strong, or any."""
    if header is None:
        return False
    return _is_any(header) or etag in [each.removeprefix("W/") for each in _listed(header)]


def if_match_versions(header: str | None) -> IfMatch:
    """The versions that If-Match names, None for any. A change is conditional on them.

    Raises PreconditionFailed when no version of ours has such a tag: then none can match.
    """
    if header is None or _is_any(header):
        return None
    found = (_VERSION.fullmatch(each) for each in _listed(header))
    if_match = frozenset(int(each[1]) for each in found if each)
    if not if_match:
        raise PreconditionFailed("Send the ETag of the record as you read it")
    return if_match


def _is_any(header: str) -> bool:
    return header.strip() == "*"


def _listed(header: str) -> list[str]:
    # A tag may hold commas. Ours do not, and what is cut out of another one is never a whole tag.
    return [each.strip() for each in header.split(",")]
