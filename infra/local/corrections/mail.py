"""SES and SNS: what moto lets pass and AWS does not, and a copy of what was accepted."""

import base64
import email.policy
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from typing import Any

from moto.core.responses import BaseResponse
from moto.ses.exceptions import SesError
from moto.ses.models import ses_backends
from moto.ses.responses import EmailResponse
from moto.sesv2.responses import SESV2Response
from moto.sns.models import sns_backends
from moto.sns.responses import SNSResponse

from infra.local import outbox

Tags = dict[str, str]


def install() -> None:
    handlers: list[tuple[type[BaseResponse], str, Callable[..., Any]]] = [
        (SESV2Response, "send_email", _send_email_v2),
        (EmailResponse, "send_email", _send_email_v1),
        (EmailResponse, "send_raw_email", _send_raw_email_v1),
        (SNSResponse, "publish", _publish),
    ]
    for response, name, wrap in handlers:
        setattr(response, name, wrap(getattr(response, name)))


def empty_all() -> None:
    """Forget what was sent; identities and topics stay."""
    outbox.clear()
    for account in list(ses_backends.values()):
        for ses in list(account.values()):
            ses.sent_messages.clear()
            ses.sent_message_count = 0
            ses.rejected_messages_count = 0
    for region in list(sns_backends.values()):
        for sns in list(region.values()):
            sns.sms_messages.clear()
            sns.sms_message_objects.clear()


def _send_email_v2(moto: Callable[..., str]) -> Callable[..., str]:
    def send_email(handler: SESV2Response) -> str:
        request = json.loads(handler.body)
        sender, content = request.get("FromEmailAddress"), request["Content"]
        people = _people(request.get("Destination") or {})
        if "Raw" in content:
            raw = base64.b64decode(content["Raw"]["Data"])
            accept = _raw_mail(raw, sender, people)
        elif "Simple" in content:
            accept = _simple_mail(content["Simple"], sender, people)
        else:
            raise _bad_request("BadRequestException", "The local cloud knows no templates.")
        _check_mail("BadRequestException", *accept[:3])
        answer = moto(handler)
        _record_mail(json.loads(answer)["MessageId"], request.get("EmailTags"), *accept)
        return answer

    return send_email


def _send_email_v1(moto: Callable[..., Any]) -> Callable[..., Any]:
    def send_email(handler: EmailResponse) -> Any:
        request = handler.params
        people = _people(request.get("Destination") or {})
        accept = _simple_mail(request["Message"], request.get("Source"), people)
        _check_mail("InvalidParameterValue", *accept[:3])
        answer = moto(handler)
        _record_mail(answer.result["MessageId"], request.get("Tags"), *accept)
        return answer

    return send_email


def _send_raw_email_v1(moto: Callable[..., Any]) -> Callable[..., Any]:
    def send_raw_email(handler: EmailResponse) -> Any:
        request = handler.params
        data = request["RawMessage"]["Data"]
        people = list(request.get("Destinations") or [])
        accept = _raw_mail(data, request.get("Source"), people)
        _check_mail("InvalidParameterValue", *accept[:3])
        answer = moto(handler)
        _record_mail(answer.result["MessageId"], request.get("Tags"), *accept)
        return answer

    return send_raw_email


def _publish(moto: Callable[..., Any]) -> Callable[..., Any]:
    def publish(handler: SNSResponse) -> Any:
        answer = moto(handler)
        number = handler.params.get("PhoneNumber")
        if number is not None:
            attributes = handler.params.get("MessageAttributes") or {}
            tags = {name: str(value.get("StringValue")) for name, value in attributes.items()}
            text = str(handler.params["Message"])
            _record("sms", number, "", text, "", "", answer.result["MessageId"], tags)
        return answer

    return publish


Mail = tuple[str, list[str], str, str, str]  # sender, people, subject, text, html


def _simple_mail(message: dict[str, Any], sender: str | None, people: list[str]) -> Mail:
    body = message["Body"]
    text = (body.get("Text") or {}).get("Data", "")
    html = (body.get("Html") or {}).get("Data", "")
    return sender or "", people, message["Subject"]["Data"], text, html


def _raw_mail(data: bytes, sender: str | None, people: list[str]) -> Mail:
    parser = BytesParser(_class=EmailMessage, policy=email.policy.default)
    message = parser.parsebytes(data)
    headers = [str(message[name]) for name in ("To", "Cc", "Bcc") if name in message]
    people = people or [address for line in headers for address in line.split(",")]
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    return (
        sender or str(message["From"] or ""),
        people,
        str(message["Subject"] or ""),
        text.get_content() if text else "",
        html.get_content() if html else "",
    )


def _people(destination: dict[str, Any]) -> list[str]:
    kinds = ("ToAddresses", "CcAddresses", "BccAddresses")
    return [address for kind in kinds for address in destination.get(kind) or []]


def _check_mail(code: str, sender: str, people: list[str], subject: str) -> None:
    if not people:
        raise _bad_request(code, "The message has no recipient.")
    for line in (sender, subject, *people):
        if "\r" in line or "\n" in line:
            raise _bad_request(code, "A subject or an address must not contain a line break.")
    for address in (sender, *people):
        local, _, domain = parseaddr(address)[1].rpartition("@")
        if not local or not domain:
            raise _bad_request(code, f"Missing final '@domain' in {address!r}")


def _bad_request(code: str, message: str) -> SesError:
    return SesError(code, message)


def _record_mail(
    message_id: str,
    tags: Iterable[dict[str, str]] | None,
    sender: str,
    people: list[str],
    subject: str,
    text: str,
    html: str,
) -> None:
    named = {tag["Name"]: tag["Value"] for tag in tags or []}
    for address in people:
        to = parseaddr(address)[1]
        _record("email", to, subject, text, html, sender, message_id, named)


def _record(
    channel: outbox.Channel,
    to: str,
    subject: str,
    text: str,
    html: str,
    sender: str,
    message_id: str,
    tags: Tags,
) -> None:
    outbox.record(
        outbox.Sent(
            channel=channel,
            to=to,
            subject=subject,
            text=text,
            html=html,
            at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            tenant_id=tags.get("tenant"),
            job_id=tags.get("job"),
            message_id=message_id,
            sender=sender,
        )
    )
