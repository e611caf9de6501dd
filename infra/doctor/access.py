"""Who may enter: logins that are bound to no user."""

from collections.abc import Iterator
from typing import Any

from infra.deploy.account import Account
from infra.deploy.functions import configuration
from infra.deploy.required_settings import UNKNOWN_SUBJECTS
from infra.doctor.findings import Finding, advice, broken, check

_MOST_SHOWN = 10
_WORDS = ("refuse", "report", "allow")
_BIND = (
    "let them accept an invitation while signed in, or bind a machine's login by "
    "`python -m infra.ops tenant bind`"
)


@check
def logins_without_a_user_are_refused(account: Account) -> Iterator[Finding]:
    page = account.page("lambda")
    variables = configuration(account, "authorize").get("Environment", {}).get("Variables", {})
    mode = variables.get(UNKNOWN_SUBJECTS, "refuse")
    if mode not in _WORDS:
        told = f"{UNKNOWN_SUBJECTS} is {mode!r}, which is no word for it; such logins are refused"
        yield broken(told, f"set it to one of {', '.join(_WORDS)}", page)
    unknown = _unknown(account)
    if mode in ("report", "allow"):
        told = f"logins that are bound to no user are let in: {UNKNOWN_SUBJECTS} is {mode}"
        yield advice(told, f"set {UNKNOWN_SUBJECTS} to refuse, deploy", page)
    if unknown:
        verb = "are refused" if mode not in ("report", "allow") else "would be refused"
        names = ", ".join(each["sk"]["S"] for each in unknown[:_MOST_SHOWN])
        more = " and more" if len(unknown) > _MOST_SHOWN else ""
        yield advice(f"these logins {verb}, by tenant and subject: {names}{more}", _BIND, page)
        if not any(each["names_somebody"]["BOOL"] for each in unknown):
            told = "their tokens carry neither a verified e-mail address nor the claim USER_CLAIM"
            cure = "let the issuer add one, or accept invitations while signed in"
            yield advice(told, cure, page)


def _unknown(account: Account) -> list[dict[str, Any]]:
    """The logins that were met in the last seven days, as far as one read goes."""
    answer = account.client("dynamodb").query(
        TableName=f"backburner-{account.stage}-people",
        KeyConditionExpression="tenant = :unknown",
        ExpressionAttributeValues={":unknown": {"S": "#unknown"}},
        Limit=100,
    )
    return list(answer["Items"])
