"""SES: a mail with a line break in a header, or without a recipient or a domain, is refused.

moto accepts the first two and refuses the third with another code. With a line break in a subject
or an address, a user could add headers.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
https://docs.aws.amazon.com/ses/latest/APIReference/API_SendEmail.html
https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html
"""

from collections.abc import Callable
from email.utils import parseaddr
from typing import Any

from moto.ses.exceptions import SesError

from infra.local.mail_requests import OPERATIONS, Mail, Operation
from infra.local.patching import wrap_all


def install() -> None:
    wrap_all([(op.handler, op.method, _checking(op)) for op in OPERATIONS])


def _checking(operation: Operation) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrapper(moto: Callable[..., Any]) -> Callable[..., Any]:
        def send(handler: Any) -> Any:
            reason = _fault_of(operation.parse(handler))
            if reason:
                raise SesError(operation.refusal_code, reason)
            return moto(handler)

        return send

    return wrapper


def _fault_of(mail: Mail) -> str:
    """Why SES refuses the mail; empty if it accepts it."""
    if not mail.recipients:
        return "The message has no recipient."
    for line in (mail.sender, mail.subject, *mail.recipients):
        if "\r" in line or "\n" in line:
            return "A subject or an address must not contain a line break."
    for address in (mail.sender, *mail.recipients):
        local, _, domain = parseaddr(address)[1].rpartition("@")
        if not local or not domain:
            return f"Missing final '@domain' in {address!r}"
    return ""
