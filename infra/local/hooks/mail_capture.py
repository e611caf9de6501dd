"""Puts a copy of every e-mail and SMS that SES and SNS accept into the mailbox."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from moto.ses.models import ses_backends
from moto.sns.models import sns_backends
from moto.sns.responses import SNSResponse

from infra.local import mailbox
from infra.local.mail_requests import OPERATIONS, Mail, Operation
from infra.local.patching import wrap_all


def install() -> None:
    wrap_all([(op.handler, op.method, _capturing_mail(op)) for op in OPERATIONS])
    wrap_all([(SNSResponse, "publish", _capturing_sms)])


def empty_all() -> None:
    """Forgets what was sent; identities and topics stay."""
    mailbox.clear()
    for account in list(ses_backends.values()):
        for ses in list(account.values()):
            ses.sent_messages.clear()
            ses.sent_message_count = 0
            ses.rejected_messages_count = 0
    for region in list(sns_backends.values()):
        for sns in list(region.values()):
            sns.sms_messages.clear()
            sns.sms_message_objects.clear()


def _capturing_mail(operation: Operation) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrapper(moto: Callable[..., Any]) -> Callable[..., Any]:
        def send(handler: Any) -> Any:
            mail = operation.parse(handler)  # before moto adds recipients to the request
            answer = moto(handler)
            _record_mail(mail, operation.message_id(answer))
            return answer

        return send

    return wrapper


def _record_mail(mail: Mail, message_id: str) -> None:
    for address in mail.recipients:
        mailbox.record(
            mailbox.Sent(
                channel="email",
                to=parseaddr(address)[1],
                subject=mail.subject,
                text=mail.text,
                html=mail.html,
                at=_now(),
                tenant_id=mail.tags.get("tenant"),
                job_id=mail.tags.get("job"),
                message_id=message_id,
                sender=mail.sender,
            )
        )


def _capturing_sms(moto: Callable[..., Any]) -> Callable[..., Any]:
    def publish(handler: SNSResponse) -> Any:
        answer = moto(handler)
        if handler.params.get("PhoneNumber") is not None:
            _record_sms(handler.params, answer.result["MessageId"])
        return answer

    return publish


def _record_sms(request: dict[str, Any], message_id: str) -> None:
    attributes = request.get("MessageAttributes") or {}
    tags = {name: str(value.get("StringValue")) for name, value in attributes.items()}
    mailbox.record(
        mailbox.Sent(
            channel="sms",
            to=request["PhoneNumber"],
            subject="",
            text=str(request["Message"]),
            html="",
            at=_now(),
            tenant_id=tags.get("tenant"),
            job_id=tags.get("job"),
            message_id=message_id,
            sender="",
        )
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
