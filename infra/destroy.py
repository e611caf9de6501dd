"""Takes a stage down: functions, API, stack, and what it remembers. Asks first.

    python -m infra.destroy --stage dev [--yes dev]

In prod the tables are kept: DynamoDB itself refuses to delete them (DeletionProtectionEnabled),
and so are the signing keys, without which no link that was sent would work again.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from infra.deploy import project, record, stack
from infra.deploy.__main__ import guarded
from infra.deploy.account import Account, DeployError

KEPT_IN = "prod"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.destroy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", required=True)
    parser.add_argument("--yes", metavar="STAGE", help="the stage's name again, instead of asking")
    given = parser.parse_args(arguments)
    return guarded(lambda: destroy(Account(given.stage), given.yes))


def destroy(account: Account, confirmed: str | None) -> int:
    """Takes the stage down when its name was said twice; 1 when it was not."""
    place = account.place
    print(f"This takes down stage {place.stage} in account {place.account}, {place.region}.")
    if account.stage == KEPT_IN:
        print("Tables and signing keys stay.")
    if (confirmed or _asked(account.stage)) != account.stage:
        print("Nothing was done.")
        return 1
    _delete_functions(account)
    print("  functions  deleted", flush=True)
    _delete_stack(account)
    print(f"  template   {'deleted, tables kept' if account.stage == KEPT_IN else 'deleted'}")
    if account.stage != KEPT_IN:
        print(f"  memory     {record.forget(account)} values deleted")
    return 0


def _asked(stage: str) -> str:
    try:
        return input(f"Type {stage} to go on: ").strip()
    except EOFError:
        return ""


def _delete_functions(account: Account) -> None:
    """By Chalice's own record, which the account keeps."""
    folder = project.prepare(account.stage)
    file = folder / ".chalice" / "deployed" / f"{account.stage}.json"
    if not record.bring_record(account, file)["resources"]:
        return
    chalice = Path(sys.executable).with_name("chalice")
    done = subprocess.run(  # noqa: S603  our own words
        [str(chalice), "--project-dir", str(folder), "delete", "--stage", account.stage],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "AWS_DEFAULT_REGION": account.region, "PYTHONPATH": ""},
    )
    if done.returncode:
        raise DeployError(f"chalice delete failed: {(done.stdout + done.stderr)[-800:]}")


def _delete_stack(account: Account) -> None:
    found = stack.describe(account)
    if found is None:
        return
    kept = stack.logical_ids("AWS::DynamoDB::Table") if account.stage == KEPT_IN else []
    stack.delete(account, kept)


if __name__ == "__main__":
    sys.exit(main())
