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
    """The tag of content without a version: equal content has an equal tag."""
    digest = hashlib.sha256(content).digest()[:12]
    return f'"{base64.urlsafe_b64encode(digest).decode()}"'


def matches(header: str | None, etag: str) -> bool:
    """True when If-None-Match names this tag, weak or strong, or any."""
    if header is None:
        return False
    return _is_any(header) or etag in [tag.removeprefix("W/") for tag in _listed(header)]


def if_match_versions(header: str | None) -> IfMatch:
    """The versions that If-Match names, on which a change is conditional; None for any version.

    Raises PreconditionFailed when none of the tags has the form of ours: then none can match.
    """
    if header is None or _is_any(header):
        return None
    matches = (_VERSION.fullmatch(tag) for tag in _listed(header))
    versions = frozenset(int(match[1]) for match in matches if match)
    if not versions:
        raise PreconditionFailed("Read the record and send its ETag in If-Match")
    return versions


def _is_any(header: str) -> bool:
    return header.strip() == "*"


def _listed(header: str) -> list[str]:
    # Tags of others may hold commas, ours do not. No part of such a tag looks like one of ours.
    return [tag.strip() for tag in header.split(",")]
