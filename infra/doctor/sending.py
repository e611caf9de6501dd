"""SES and SNS: whether mails and SMS leave the house, and how fast they may."""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from infra.deploy.account import Account, code
from infra.deploy.functions import configuration
from infra.doctor.findings import Finding, advice, broken, check

_THREADS = 10  #: messages that one worker sends at a time


@check
def ses_sends_to_everybody(account: Account) -> Iterator[Finding]:
    page = account.page("ses", "home")
    found = account.client("sesv2").get_account()
    if not found.get("ProductionAccessEnabled", False):
        told = "SES is in its sandbox: it sends to verified addresses only"
        yield advice(told, "ask for production access on SES's page", page)
    if not found.get("SendingEnabled", True):
        yield broken("SES has paused sending for this account", "read the mail that says why", page)
    rate = float(found.get("SendQuota", {}).get("MaxSendRate", 0))
    if 0 < rate < _THREADS:
        told = f"SES takes {rate:g} mails a second, one worker sends {_THREADS} at a time"
        cure = f"set TENANT_EMAIL_PER_SECOND to at most {rate:g}, or ask for a higher quota"
        yield advice(told, cure, page)


@check
def the_sender_is_verified(account: Account) -> Iterator[Finding]:
    page = account.page("ses", "home")
    variables = configuration(account, "notify").get("Environment", {}).get("Variables", {})
    sender = variables.get("SENDER_EMAIL", "")
    if not sender:
        return  # told with the other settings
    if not any(_is_verified(account, name) for name in (sender, sender.partition("@")[2])):
        told = f"SES does not know {sender} as verified"
        yield broken(told, "open the mail from SES, or put its DKIM records into DNS", page)


def _is_verified(account: Account, identity: str) -> bool:
    try:
        found = account.client("sesv2").get_email_identity(EmailIdentity=identity)
    except ClientError as error:
        if code(error) == "NotFoundException":
            return False
        raise
    return bool(found.get("VerifiedForSendingStatus"))
