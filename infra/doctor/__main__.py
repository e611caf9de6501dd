"""Looks at a stage and says what is wrong, changing nothing.

    python -m infra.doctor --stage dev

Ends with 0 when nothing is broken, 1 when something is, 2 when it could not look.
"""

import argparse
import sys

from infra.deploy.account import Account
from infra.deploy.command import guarded
from infra.doctor.examination import examine, show


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


if __name__ == "__main__":
    sys.exit(main())
