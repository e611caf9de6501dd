"""Looks at a stage and says what is wrong, changing nothing.

    python -m infra.doctor --stage dev

Ends with 0 when nothing is broken, 1 when something is, 2 when it could not look.
"""

import argparse
import sys

from botocore.exceptions import ClientError

from infra.deploy.__main__ import guarded
from infra.deploy.account import Account, reason
from infra.doctor import functions, resources, sending  # noqa: F401  their checks
from infra.doctor.findings import CHECKS, Finding, advice


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", required=True)
    stage = parser.parse_args(arguments).stage
    return guarded(lambda: _main(Account(stage)))


def _main(account: Account) -> int:
    place = account.place
    print(f"Stage {place.stage}, account {place.account}, region {place.region}\n")
    findings = examine(account)
    show(findings)
    return 1 if any(finding.broken for finding in findings) else 0


def examine(account: Account) -> list[Finding]:
    """All findings, what is broken first. A check that may not look says so and ends no other."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(account)
        except ClientError as error:
            told = f"{check.__name__.replace('_', ' ')}: not looked at ({reason(error)})"
            found.append(advice(told, "allow the doctor's user to read it", account.page("iam")))
    return sorted(found, key=lambda finding: not finding.broken)


def show(findings: list[Finding]) -> None:
    """One paragraph a finding."""
    for finding in findings:
        print(f"{'BROKEN' if finding.broken else 'note  '}  {finding.what}")
        print(f"        {finding.cure}\n        {finding.page}")
    if not findings:
        print("Everything is as it should be.")


if __name__ == "__main__":
    sys.exit(main())
