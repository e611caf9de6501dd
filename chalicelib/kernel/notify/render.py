"""A notice's templates turned into texts.

A folder `templates/<notice>/` of the domain holds `subject.txt`, `body.txt`, `body.html` for
e-mail and `sms.txt`. Values are text: they are never read as templates, and in HTML they are
escaped. A name that a template uses and the notice does not give is an error, not a gap.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

EMAIL_PARTS = ("subject.txt", "body.txt", "body.html")
SMS_PARTS = ("sms.txt",)


@dataclass(frozen=True)
class Email:
    subject: str
    text: str
    html: str


@cache
def _environment(package: str) -> "Environment":
    # Late: only workers render, and jinja2 is a quarter of the cost of boto3.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(package: str, notice: str, part: str, values: dict[str, Any]) -> str:
    return _environment(package).get_template(f"{notice}/{part}").render(values)


def email(package: str, notice: str, values: dict[str, Any]) -> Email:
    """Subject, text and HTML; the subject on one line, whatever the values hold."""
    subject, text, html = (_text(package, notice, part, values) for part in EMAIL_PARTS)
    return Email(" ".join(subject.split()), text.strip() + "\n", html)


def sms(package: str, notice: str, values: dict[str, Any]) -> str:
    """The text on one line."""
    return " ".join(_text(package, notice, SMS_PARTS[0], values).split())
