"""Values that are signed and not stored: the tokens of links and the cursors of lists.

`seal` joins a payload with its HMAC-SHA256 (RFC 2104) under one of the stage's keys (`keyring.py`).
`open_seal` accepts every key, so a new one does not break values that are already out. A purpose
keeps one kind of value from being used as another (as the labels of NIST SP 800-108).
"""

import base64
import hashlib
import hmac

from chalicelib.kernel import keyring
from chalicelib.kernel.errors import Unavailable

_MAC_BYTES = 16


def check_keys() -> None:
    """Raises Unavailable while no key is known, and so nothing can be sealed."""
    keyring.verifying_keys()


def seal(purpose: str, payload: bytes) -> str:
    """A URL-safe text that `open_seal` turns back into `payload`. Raises Unavailable without keys.

    The text is the same each time, as long as the same key signs.
    """
    return _text(_mac(keyring.signing_key(), purpose, payload) + payload)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def open_seal(purpose: str, text: str) -> bytes | None:
    """The payload, or None for a text that `seal` did not return for this purpose.

    Raises Unavailable without keys, and for a text that another instance may have sealed with a key
    which could not be read here for the last ten minutes.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    if _text(raw) != text:  # base64 has several spellings of the last letter
        return None
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    for key in keyring.verifying_keys():
        if hmac.compare_digest(mac, _mac(key, purpose, payload)):
            return payload
    if keyring.may_lack_a_key():
        raise Unavailable("This link or cursor cannot be checked now; try again")
    return None


def _mac(key: str, purpose: str, payload: bytes) -> bytes:
    signed = purpose.encode() + b"\0" + payload
    return hmac.digest(key.encode(), signed, hashlib.sha256)[:_MAC_BYTES]
