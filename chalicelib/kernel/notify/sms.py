"""SMS through SNS, and how many segments a text costs."""

import re
from typing import Any

import msgspec

from chalicelib.kernel import aws
from chalicelib.kernel.errors import Invalid, Skip
from chalicelib.kernel.notify import providers
from chalicelib.kernel.settings import settings

#: The GSM 03.38 alphabet; letters of its extension table cost two septets (3GPP TS 23.038).
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")


class Segments(msgspec.Struct, frozen=True):
    """What a text costs to send."""

    encoding: str  #: GSM-7 or UCS-2
    count: int


def segments(text: str) -> Segments:
    """Segments as carriers count them.

    One segment holds 160 septets of GSM-7 or 70 units of UCS-2. A longer text is split into
    segments of 153 or 67, and no character is split between two.
    """
    if all(character in _BASIC or character in _EXTENDED for character in text):
        sizes, single, part, encoding = [*map(_septets, text)], 160, 153, "GSM-7"
    else:
        sizes, single, part, encoding = [*map(_utf16_units, text)], 70, 67, "UCS-2"
    return Segments(encoding, 1 if sum(sizes) <= single else _parts(sizes, part))


def _septets(character: str) -> int:
    return 2 if character in _EXTENDED else 1


def _utf16_units(character: str) -> int:
    return len(character.encode("utf-16-be")) // 2


def _parts(sizes: list[int], part: int) -> int:
    count, used = 1, 0
    for size in sizes:
        if used + size > part:
            count, used = count + 1, 0
        used += size
    return count


def send(text: str, *, to: str, tags: dict[str, str]) -> str:
    """Sends one SMS; returns SNS's message id. Raises what `providers.send` raises.

    Raises Skip when SMS is not configured, Invalid for a number outside E.164 or a text longer
    than the settings allow. A repeated call sends a second SMS: the caller must hold the claim of
    the SMS's job. `tags` become attributes of the message: its tenant and job.
    """
    if not settings.sms_enabled:
        raise Skip("sms-not-configured")
    if not _E164.match(to):
        raise Invalid("The phone number is not in E.164 form")
    count = segments(text).count
    if count > settings.sms_max_segments:
        raise Invalid(f"The SMS has {count} segments; {settings.sms_max_segments} are allowed")
    attributes: dict[str, Any] = {name: _attribute(value) for name, value in tags.items()}
    attributes["AWS.SNS.SMS.SMSType"] = _attribute("Transactional")
    if settings.sms_sender_id:
        attributes["AWS.SNS.SMS.SenderID"] = _attribute(settings.sms_sender_id)
    return providers.send(
        "SNS",
        lambda: aws.client("sns").publish(
            PhoneNumber=to, Message=text, MessageAttributes=attributes
        ),
    )


def _attribute(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}
