"""Every check of the doctor, run over one stage, and its findings in words."""

from botocore.exceptions import ClientError

from infra.deploy.account import Account, reason
from infra.doctor import (  # noqa: F401  register checks
    access,
    concurrency,
    functions,
    resources,
    sending,
    signing_keys,
)
from infra.doctor.findings import CHECKS, Finding, advice


def examine(account: Account) -> list[Finding]:
    """All findings, broken ones first. A check without the right to read becomes a note itself."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(account)
        except ClientError as error:
            what = f"{check.__name__.replace('_', ' ')}: not looked at ({reason(error)})"
            found.append(advice(what, "allow the doctor's user to read it", account.page("iam")))
    return sorted(found, key=lambda finding: not finding.broken)


def show(findings: list[Finding]) -> None:
    """Prints one paragraph for each finding."""
    for finding in findings:
        print(f"{'BROKEN' if finding.broken else 'note  '}  {finding.what}")
        print(f"        {finding.cure}\n        {finding.page}")
    if not findings:
        print("Everything is as it should be.")
