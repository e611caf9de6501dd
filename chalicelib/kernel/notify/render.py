"""Renders the templates of a notice.

The folder `templates/<notice>/` of the domain's package holds `subject.txt`, `body.txt` and
`body.html` for e-mail, and `sms.txt`.
"""

from typing import Any

import msgspec

from chalicelib.kernel.templates import environment

EMAIL_PARTS = ("subject.txt", "body.txt", "body.html")
SMS_PARTS = ("sms.txt",)


class Email(msgspec.Struct, frozen=True):
    subject: str
    text: str
    html: str


def _text(package: str, notice: str, part: str, values: dict[str, Any]) -> str:
    return environment(package).get_template(f"{notice}/{part}").render(values)


def email(package: str, notice: str, values: dict[str, Any]) -> Email:
    """Subject, text and HTML. The subject has one line, even if a value has a line break."""
    subject, text, html = (_text(package, notice, part, values) for part in EMAIL_PARTS)
    return Email(" ".join(subject.split()), text.strip() + "\n", html)


def sms(package: str, notice: str, values: dict[str, Any]) -> str:
    """The text, in one line."""
    return " ".join(_text(package, notice, SMS_PARTS[0], values).split())
