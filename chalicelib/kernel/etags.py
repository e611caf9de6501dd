"""Versions of one record over HTTP: ETag, If-None-Match, If-Match (RFC 9110, section 8.8, 13.1)."""

import base64
import hashlib
import re

from chalicelib.kernel.errors import PreconditionFailed

_VERSION = re.compile(r'"v([0-9]{1,15})"\Z')


def of_version(version: int) -> str:
    return f'"v{version}"'


def of_content(content: bytes) -> str:
    """For a record without a version: equal content, equal tag."""
    digest = hashlib.sha256(content).digest()[:12]
    return f'"{base64.urlsafe_b64encode(digest).decode()}"'


def matches(header: str | None, etag: str) -> bool:
    """True when If-None-Match names this tag, weak or strong, or any."""
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return "*" in tags or etag in tags


def wanted_version(header: str | None) -> int | None:
    """The version that If-Match names, None for any. A change is conditional on it.

    Raises PreconditionFailed for a tag that no version of ours has: it cannot match.
    """
    if header is None or header.strip() == "*":
        return None
    found = _VERSION.match(header.strip())
    if found is None:
        raise PreconditionFailed("Send the ETag of the record as you read it")
    return int(found[1])
