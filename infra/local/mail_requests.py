"""The mail in a request to SES, in one form for all three ways of sending it."""

import base64
import email.policy
import json
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, NamedTuple, TypeAlias

from moto.ses.exceptions import SesError
from moto.ses.responses import EmailResponse
from moto.sesv2.responses import SESV2Response

Handler: TypeAlias = Any  # moto's: a request on its way to an answer


class Mail(NamedTuple):
    sender: str  #: with the display name
    recipients: list[str]  #: with their display names
    subject: str
    text: str
    html: str  #: empty when the mail has none
    tags: dict[str, str]


class Operation(NamedTuple):
    """One way of sending a mail, as moto implements it."""

    handler: type
    method: str
    parse: Callable[[Handler], Mail]
    message_id: Callable[[Any], str]  #: from the handler's answer
    refusal_code: str  #: of a mail that breaks SES's rules


def _parse_v2(handler: SESV2Response) -> Mail:
    request = json.loads(handler.body)
    sender, content = request.get("FromEmailAddress"), request["Content"]
    recipients = _recipients(request.get("Destination") or {})
    tags = request.get("EmailTags")
    if "Raw" in content:
        return _raw_mail(base64.b64decode(content["Raw"]["Data"]), sender, recipients, tags)
    if "Simple" in content:
        return _simple_mail(content["Simple"], sender, recipients, tags)
    raise SesError("BadRequestException", "The local cloud does not support templates.")


def _parse_v1(handler: EmailResponse) -> Mail:
    request = handler.params
    recipients = _recipients(request.get("Destination") or {})
    return _simple_mail(request["Message"], request.get("Source"), recipients, request.get("Tags"))


def _parse_raw_v1(handler: EmailResponse) -> Mail:
    request = handler.params
    recipients = list(request.get("Destinations") or [])
    data = request["RawMessage"]["Data"]
    return _raw_mail(data, request.get("Source"), recipients, request.get("Tags"))


def _message_id_v2(answer: str) -> str:
    return str(json.loads(answer)["MessageId"])


def _message_id_v1(answer: Any) -> str:
    return str(answer.result["MessageId"])


OPERATIONS = (
    Operation(SESV2Response, "send_email", _parse_v2, _message_id_v2, "BadRequestException"),
    Operation(EmailResponse, "send_email", _parse_v1, _message_id_v1, "InvalidParameterValue"),
    Operation(
        EmailResponse, "send_raw_email", _parse_raw_v1, _message_id_v1, "InvalidParameterValue"
    ),
)


def _simple_mail(
    message: dict[str, Any], sender: str | None, recipients: list[str], tags: Any
) -> Mail:
    body = message["Body"]
    return Mail(
        sender=sender or "",
        recipients=recipients,
        subject=message["Subject"]["Data"],
        text=(body.get("Text") or {}).get("Data", ""),
        html=(body.get("Html") or {}).get("Data", ""),
        tags=_tags(tags),
    )


def _raw_mail(data: bytes, sender: str | None, recipients: list[str], tags: Any) -> Mail:
    parser = BytesParser(_class=EmailMessage, policy=email.policy.default)
    message = parser.parsebytes(data)
    headers = [str(message[name]) for name in ("To", "Cc", "Bcc") if name in message]
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    return Mail(
        sender=sender or str(message["From"] or ""),
        recipients=recipients or [address for line in headers for address in line.split(",")],
        subject=str(message["Subject"] or ""),
        text=text.get_content() if text else "",
        html=html.get_content() if html else "",
        tags=_tags(tags),
    )


def _recipients(destination: dict[str, Any]) -> list[str]:
    kinds = ("ToAddresses", "CcAddresses", "BccAddresses")
    return [address for kind in kinds for address in destination.get(kind) or []]


def _tags(tags: list[dict[str, str]] | None) -> dict[str, str]:
    return {tag["Name"]: tag["Value"] for tag in tags or []}
