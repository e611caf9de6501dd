"""E-mail by SES."""

import re
from email.utils import formataddr

from chalicelib.kernel import aws
from chalicelib.kernel.errors import Invalid
from chalicelib.kernel.notify import providers
from chalicelib.kernel.notify.render import Email
from chalicelib.kernel.settings import settings

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE_IN_TAGS = re.compile(r"[^A-Za-z0-9_.@-]")


def sender(name: str, address: str) -> str:
    """A From header: a name in front of the deployment's address (RFC 5322, RFC 2047)."""
    return formataddr((_CONTROLS.sub(" ", name).strip(), address))


def send(message: Email, *, to: str, from_name: str, tags: dict[str, str]) -> str:
    """Sends one mail to one address; returns SES's message id. Raises what `providers.send` raises.

    Raises Invalid for a control character in the subject or the address, which could add a header.
    Not safe to repeat by itself, since SES has no idempotency token: the job's claim guards it.
    """
    if _CONTROLS.search(message.subject) or _CONTROLS.search(to):
        raise Invalid("The subject or the address of the mail contains a control character")
    request = {
        "FromEmailAddress": sender(from_name, settings.sender_email),
        "Destination": {"ToAddresses": [to]},
        "Content": {
            "Simple": {
                "Subject": _content(message.subject),
                "Body": {"Text": _content(message.text), "Html": _content(message.html)},
            }
        },
        "EmailTags": [
            {"Name": name, "Value": _UNSAFE_IN_TAGS.sub("_", value)} for name, value in tags.items()
        ],
    }
    if settings.configuration_set:
        request["ConfigurationSetName"] = settings.configuration_set
    return providers.send("SES", lambda: aws.client("sesv2").send_email(**request))


def _content(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}
